"""How this machine trusts its own service."""

from __future__ import annotations

import ssl

from ray_app.settings import Settings


def trusted(settings: Settings) -> ssl.SSLContext | bool:
    """Trusts our own certificate alone, whatever name it is for: we ask at the address of this machine."""
    if settings.tls_cert_file is None:
        return True
    context = ssl.create_default_context(cafile=str(settings.tls_cert_file))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context
