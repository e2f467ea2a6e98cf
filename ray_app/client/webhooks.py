"""For receivers of webhooks, see ray_app/services/webhook_signature.py, which may be copied as it is."""

from ray_app.services.webhook_signature import SIGNATURE_HEADER, SignatureError, verify

__all__ = ["SIGNATURE_HEADER", "SignatureError", "verify"]
