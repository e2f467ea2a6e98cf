"""Tokens of an OpenID provider: who passes, and every way in which a token does not hold."""

from __future__ import annotations

import base64
import hmac
import time
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from ray_app.services.keys import Caller, Role
from ray_app.services.oidc import OidcVerifier, checked_address
from training.errors import UnavailableError

ISSUER = "https://login.example/realm"


class Provider:
    """Signs tokens, and publishes its keys."""

    def __init__(self) -> None:
        self.keys = [self.new_key("one")]
        self.asked: list[str] = []
        self.away = False

    @staticmethod
    def new_key(kid: str) -> RSAKey:
        return RSAKey.generate_key(2048, {"kid": kid, "alg": "RS256"})

    def fetch(self, url: str) -> Any:
        self.asked.append(url)
        if self.away:
            raise httpx.ConnectError("away")
        if url.endswith("openid-configuration"):
            return {"issuer": ISSUER, "jwks_uri": "https://login.example/keys"}
        return KeySet(self.keys).as_dict(private=False)

    def token(self, key: Any = None, alg: str = "RS256", **changes: Any) -> str:
        claims = {
            "iss": ISSUER, "aud": ["mts", "other"], "sub": "alice", "exp": int(time.time()) + 300, "roles": ["trainer"],
        } | changes  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        signer = key or self.keys[-1]
        return jwt.encode({"alg": alg, "kid": signer.kid or "one"}, claims, signer, algorithms=[alg])


@pytest.fixture(scope="module")
def provider() -> Provider:
    return Provider()


def verifier(provider: Provider, claim: str = "roles") -> OidcVerifier:
    return OidcVerifier(ISSUER, "mts", claim, fetch=provider.fetch)


def test_who_signed_in_there_passes_with_the_highest_role(provider: Provider) -> None:
    ours = verifier(provider)
    assert ours.verify(provider.token()) == Caller("oidc:alice", Role.TRAINER)
    several = provider.token(roles=["viewer", "mts-approver", "something else"])
    assert ours.verify(several) == Caller("oidc:alice", Role.APPROVER)
    nested = provider.token(roles=None, realm_access={"roles": ["mts-admin"]})
    assert verifier(provider, "realm_access.roles").verify(nested) == Caller("oidc:alice", Role.ADMIN)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1_000_000}, {"exp": None}, {"iss": "https://evil.example"}, {"aud": "other"}, {"aud": None},
        {"sub": None}, {"roles": None}, {"roles": ["root"]}, {"roles": {"admin": True}}, {"nbf": 4_000_000_000},
        {"sub": "a\nb"},
    ],
)  # fmt: skip
def test_a_token_that_does_not_hold_is_refused(provider: Provider, changes: dict[str, Any]) -> None:
    assert verifier(provider).verify(provider.token(**changes)) is None


def test_a_token_that_somebody_else_signed_is_refused(provider: Provider) -> None:
    ours = verifier(provider)
    assert ours.verify(provider.token(Provider.new_key("one"))) is None
    head, body, _ = provider.token().split(".")
    # signed with the provider's public key as if that were a shared secret
    shared = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one"}').rstrip(b"=").decode()
    mark = hmac.digest(provider.keys[0].as_pem(private=False), f"{shared}.{body}".encode(), "sha256")
    assert ours.verify(f"{shared}.{body}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}") is None
    assert ours.verify(f"{head}.{body}.") is None
    none = "eyJhbGciOiJub25lIn0"
    assert ours.verify(f"{none}.{body}.") is None
    assert ours.verify("a.b.c") is None
    assert ours.verify("x" * 100_000 + "..") is None


def test_a_new_key_of_the_provider_is_asked_for(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = verifier(provider)
    assert ours.verify(provider.token()) is not None
    asked = len(provider.asked)
    fresh = Provider.new_key("two")
    monkeypatch.setattr("ray_app.services.oidc.KEYS_PAUSE_S", 0.0)
    monkeypatch.setattr(provider, "keys", [*provider.keys, fresh])
    assert ours.verify(provider.token(fresh)) is not None
    assert len(provider.asked) > asked


def test_a_provider_that_is_away_is_said(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "away", True)
    with pytest.raises(UnavailableError, match="OpenID provider"):
        verifier(provider).verify(provider.token())


@pytest.mark.parametrize("url", ["http://login.example", "ftp://x", "file:///etc/passwd", "login.example"])
def test_only_https_is_asked(url: str) -> None:
    with pytest.raises(ValueError, match="not https"):
        checked_address(url)
    assert checked_address("http://127.0.0.1:8080/realm")
