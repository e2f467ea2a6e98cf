"""Tells an operator's webhook of an alarm. The operator's file says where each is; a spec only names one."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import httpx
import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from training.errors import SpecError, UnavailableError, nearest

TIMEOUT_S = 10.0
SIGNATURE = "X-MTS-Signature"


class Webhook(BaseModel):
    """Where alarms of a name go. With a secret each body is signed: `sha256=` and the hex HMAC in X-MTS-Signature."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, Field(pattern=r"^https?://")]
    secret: SecretStr | None = None


def find_webhook(path: Path | None, name: str) -> Webhook:
    """The webhook of a name in the operator's file (YAML: name to url and secret).

    Raises:
        SpecError: there is no file, it cannot be read, or it has no such name; shows no address and no secret.
    """
    field = "policy.webhook"
    if path is None:
        raise SpecError.at(field, name, "the operator has set no webhooks file", hint="Set MTS_WEBHOOKS_FILE.")
    try:
        raw: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        known = {str(key): Webhook.model_validate(value) for key, value in raw.items()}
    except (OSError, yaml.YAMLError, AttributeError, ValidationError):
        hint = "Each entry needs a url and may have a secret."
        raise SpecError.at(field, name, "the operator's webhooks file cannot be read", hint=hint) from None
    if name not in known:
        raise SpecError.at(field, name, f"no webhook of that name{nearest(name, known)}")
    return known[name]


def send(webhook: Webhook, event: Mapping[str, Any], event_id: str) -> int:
    """Posts an event; answers the status.

    Raises:
        UnavailableError: no answer, or one of 400 and more; worth a retry. The id tells the receiver a repetition.
    """
    body = json.dumps(event, ensure_ascii=False, default=str).encode()
    headers = {"Content-Type": "application/json", "X-MTS-Event-Id": event_id}
    if webhook.secret is not None:
        digest = hmac.new(webhook.secret.get_secret_value().encode(), body, hashlib.sha256).hexdigest()
        headers[SIGNATURE] = f"sha256={digest}"
    try:
        response = httpx.post(webhook.url, content=body, headers=headers, timeout=TIMEOUT_S, follow_redirects=False)
    except httpx.HTTPError as error:
        raise UnavailableError(f"the webhook does not answer: {type(error).__name__}") from None
    if response.status_code >= 400:
        raise UnavailableError(f"the webhook answers {response.status_code}")
    return response.status_code
