"""Who is told of what: the operator's list of webhooks."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from ray_app.jobs.webhooks import EventName, WebhookEvent

logger = logging.getLogger("ray_app.webhooks")

MIN_SECRET_CHARS = 16


class Webhook(BaseModel):
    """One receiver."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
    url: Annotated[str, Field(max_length=2000)]
    secret: SecretStr
    """Signs what is sent; at least 16 characters."""
    events: list[EventName] | None = None
    """Default: all."""
    models: list[str] = ["*"]
    """Names, with * for any characters."""
    allow_private: bool = False
    """Whether the address may lie in a private network or on this machine."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("url must be http://… or https://…")
        if "@" in parts.netloc:
            raise ValueError("url must not hold a user or a password; the signature says who sends")
        if len(self.secret.get_secret_value()) < MIN_SECRET_CHARS:
            raise ValueError(f"secret must have at least {MIN_SECRET_CHARS} characters")
        return self

    def wants(self, event: WebhookEvent) -> bool:
        """Whether the receiver is to hear of the event."""
        right_type = self.events is None or event.type in self.events
        return right_type and any(fnmatchcase(event.model, pattern) for pattern in self.models)


class WebhookFile(BaseModel):
    """The webhooks file: YAML or JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    webhooks: list[Webhook]

    @model_validator(mode="after")
    def _unique(self) -> Self:
        ids = [webhook.id for webhook in self.webhooks]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"the id {twice[0]} is there twice")
        return self


class WebhookList:
    """The webhooks of one file, read again when it changes. A file with a fault changes nothing and is logged.

    Thread-safe: state is replaced whole.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._state: tuple[tuple[int, int], Mapping[str, Webhook]] = ((0, 0), {})

    def now(self) -> Mapping[str, Webhook]:
        """The webhooks by id."""
        if self._path is None:
            return {}
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            if stamp != self._state[0]:
                read = WebhookFile.model_validate(yaml.safe_load(self._path.read_text("utf-8")))
                self._state = (stamp, {webhook.id: webhook for webhook in read.webhooks})
        except ValidationError as error:
            # its own text would show the secrets
            faults = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
            logger.warning("the webhooks file cannot be used: %s", faults)
        except (OSError, ValueError, yaml.YAMLError) as error:
            logger.warning("the webhooks file cannot be used: %s", type(error).__name__)
        return self._state[1]

    def receivers(self, event: WebhookEvent) -> list[str]:
        """Ids of the webhooks that want the event."""
        return [webhook.id for webhook in self.now().values() if webhook.wants(event)]
