"""Bearer tokens of an OpenID Connect provider, beside API keys: who signed in there, and what he may do here."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from ray_app.services.keys import Caller, Role
from training.errors import UnavailableError

logger = logging.getLogger("ray_app.oidc")

ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
"""Signatures with a public key only: with `none` or a shared secret a caller could sign for itself."""
LEEWAY_S = 30
KEYS_AGE_S = 3600.0
KEYS_PAUSE_S = 30.0
"""A token with an unknown key makes us ask the provider for its keys, no more often than this."""
TIMEOUT_S = 5.0
MAX_TOKEN_CHARS = 16_000
MAX_SUBJECT_CHARS = 150
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
CONFIGURATION = "/.well-known/openid-configuration"

Fetch = Callable[[str], Any]


def fetch_json(url: str) -> Any:
    """The JSON document at an address; redirects are not followed."""
    return httpx.get(url, timeout=TIMEOUT_S, follow_redirects=False).raise_for_status().json()


class OidcVerifier:
    """Checks tokens with the provider's public keys, which are asked for once an hour and when a new one appears.

    Thread-safe: state is replaced whole. Blocks while it asks the provider: call it in a thread.

    Args:
        issuer: address of the provider; https, except on this machine.
        audience: what tokens must be made for.
        role_claim: where a token says what its owner may do: roles of ours by name (`trainer`, or `mts-trainer`);
            a dot leads into an object, as in `realm_access.roles`.
        fetch: reads a JSON document.
    """

    def __init__(self, issuer: str, audience: str, role_claim: str, *, fetch: Fetch = fetch_json) -> None:
        self._issuer = issuer
        self._audience = audience
        self._role_claim = role_claim
        self._fetch = fetch
        self._keys: KeySet | None = None
        self._asked_at = -KEYS_AGE_S

    @staticmethod
    def is_token(presented: str) -> bool:
        """Whether this has the form of a token; our own keys have no dots."""
        return presented.count(".") == 2

    def verify(self, presented: str) -> Caller | None:
        """The caller of a token; None for one that does not hold, is over, or gives no role.

        Raises:
            UnavailableError: the provider cannot be asked for its keys.
        """
        if len(presented) > MAX_TOKEN_CHARS:
            return None
        try:
            claims = self._claims(presented)
        except (JoseError, ValueError) as error:
            logger.info("a token is refused: %s", type(error).__name__)
            return None
        role = _highest(_at(claims, self._role_claim))
        subject = claims["sub"]
        if role is None or not isinstance(subject, str) or not subject.isprintable():
            logger.info("a token of %.60r gives no role in %s", subject, self._role_claim)
            return None
        return Caller(f"oidc:{subject[:MAX_SUBJECT_CHARS]}", role)

    def _claims(self, presented: str) -> dict[str, Any]:
        try:
            token = jwt.decode(presented, self._public_keys(KEYS_AGE_S), algorithms=ALGORITHMS)
        except (JoseError, ValueError):
            # the provider may sign with a key that is new to us
            token = jwt.decode(presented, self._public_keys(KEYS_PAUSE_S), algorithms=ALGORITHMS)
        jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            exp={"essential": True},
            sub={"essential": True},
        ).validate(token.claims)
        return token.claims

    def _public_keys(self, max_age_s: float) -> KeySet:
        if self._keys is None or time.monotonic() - self._asked_at > max_age_s:
            try:
                self._keys = self._asked()
            except (httpx.HTTPError, KeyError, TypeError, ValueError, JoseError) as error:
                logger.warning("the OpenID provider cannot be asked for its keys: %s", error)
                if self._keys is None:
                    raise UnavailableError("tokens cannot be checked now: the OpenID provider is away") from None
            self._asked_at = time.monotonic()
        return self._keys

    def _asked(self) -> KeySet:
        found = self._fetch(self._issuer.rstrip("/") + CONFIGURATION)
        if found["issuer"] != self._issuer:
            raise ValueError(f"it calls itself {found['issuer']!r}")
        address = checked_address(found["jwks_uri"])
        return KeySet.import_key_set(self._fetch(address))


def checked_address(url: str) -> str:
    """The address, if nobody on the way can change what it answers.

    Raises:
        ValueError: it is neither https nor on this machine.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOCAL_HOSTS):
        raise ValueError(f"{url} is not https")
    return url


def _at(claims: Mapping[str, Any], path: str) -> Any:
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _highest(named: Any) -> Role | None:
    names = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    given = {str(name).removeprefix("mts-") for name in names}
    return next((role for role in reversed(Role) if role.value in given), None)
