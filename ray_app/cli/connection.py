"""The client that the commands use."""

from __future__ import annotations

from ray_app.client import MtsClient
from ray_app.settings import Settings


def connect(url: str | None) -> MtsClient:
    """A client of the service that the option or the settings name."""
    settings = Settings()
    key = settings.api_key.get_secret_value() if settings.api_key else None
    if url is not None or settings.tls_cert_file is None:
        return MtsClient(url or settings.service_url, key)
    # here, because only a service with a certificate of its own needs it
    import httpx

    from ray_app.local.tls import trusted

    return MtsClient(settings.service_url, key, transport=httpx.HTTPTransport(verify=trusted(settings)))
