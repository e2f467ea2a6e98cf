"""For receivers of webhooks: is this really from the service, and is it fresh? Needs nothing but Python.

    verify(secret, request.headers["MTS-Signature"], body)

Answer 2xx as soon as the event is stored, within 5 s. An event may come twice, with the same `id`: act on it once.
"""

from __future__ import annotations

import hashlib
import hmac
import time

SIGNATURE_HEADER = "MTS-Signature"
TOLERANCE_S = 300


class SignatureError(ValueError):
    """The request was not signed with the secret, was altered, or is an old one sent again."""


def sign(secret: str, body: bytes, timestamp: int) -> str:
    """The value of the signature header: `t=<seconds since 1970>,v1=<HMAC-SHA256 of "<t>.<body>" in hexadecimal>`."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def verify(secret: str, header: str, body: bytes, *, now: float | None = None, tolerance_s: float = TOLERANCE_S) -> int:
    """Checks the signature of a request.

    Args:
        secret: of this webhook.
        header: value of MTS-Signature.
        body: as it was received, byte by byte.
        now: seconds since 1970; default: this machine's clock.
        tolerance_s: how old or how far ahead the request may be.

    Returns:
        When it was signed, in seconds since 1970.

    Raises:
        SignatureError: it must not be trusted.
    """
    fields = dict(part.split("=", 1) for part in header.split(",") if "=" in part)
    stamp = fields.get("t", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12 and "v1" in fields):
        raise SignatureError("the signature header is malformed")
    expected = sign(secret, body, int(stamp))
    if not hmac.compare_digest(f"t={stamp},v1={fields['v1']}".encode(), expected.encode()):
        raise SignatureError("the signature does not fit the body")
    if abs((time.time() if now is None else now) - int(stamp)) > tolerance_s:
        raise SignatureError("the request is too old, or a clock is wrong")
    return int(stamp)
