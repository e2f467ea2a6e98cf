"""The base of every part of a spec: frozen, strict about names, documented."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class SpecModel(BaseModel):
    """A part of a spec. An unknown field is an error, never ignored; a spec never changes once it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)
