"""A plot of the report with its words."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True)
class Figure:
    """A plot and what it says; a wide one takes the whole width of the page."""

    title: str
    svg: Markup
    caption: str
    is_wide: bool = False
