"""The client that the commands use."""

from __future__ import annotations

from ray_app.client import MtsClient
from ray_app.settings import Settings


def connect(url: str | None) -> MtsClient:
    """A client of the service that the option or the settings name."""
    settings = Settings()
    key = settings.api_key.get_secret_value() if settings.api_key else None
    return MtsClient(url or settings.service_url, key)
