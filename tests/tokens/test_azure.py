"""Tokens of Microsoft Entra: the user is the object id in the token."""

import base64
import json
import sys
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("azure.identity", reason="azure-identity is missing: pip install 'redis-pulse[azure]'")

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import DefaultAzureCredential

from redis_pulse.config import AzureSettings
from redis_pulse.tokens import RenewalError
from redis_pulse.tokens.azure import AzureTokens, claims_of

OID = "00000000-0000-0000-0000-00000000000a"


def jwt(**claims: Any) -> str:
    """Return a token with these claims. No test checks its signature."""
    parts = ({"alg": "none"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, "sig"])


@pytest.fixture
def requested(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the identity return a token, and record the scopes that were requested."""
    scopes: list[str] = []

    def get_token(_self: object, *wanted: str) -> SimpleNamespace:
        scopes.extend(wanted)
        return SimpleNamespace(token=jwt(oid=OID, aud="https://redis.azure.com"), expires_on=1735693200)

    monkeypatch.setattr(DefaultAzureCredential, "get_token", get_token)
    return scopes


def test_user_is_object_id_in_the_token(requested: list[str]) -> None:
    token = AzureTokens(AzureSettings())()
    assert (token.username, token.expires_at) == (OID, 1735693200.0)
    assert token.password.startswith("eyJ")
    assert requested == ["https://redis.azure.com/.default"]
    assert "eyJ" not in repr(token)


def test_user_and_identity_can_be_set(requested: list[str]) -> None:
    settings = AzureSettings(
        user="me", scope="https://other/.default", client_id="11111111-1111-1111-1111-111111111111"
    )
    assert AzureTokens(settings)().username == "me"
    assert requested == ["https://other/.default"]


@pytest.mark.parametrize("token", ["", "a.b", "a.!!!.c", "a.W10.c", "a.eyJvaWQiOjF9.c"])
def test_token_without_object_id_is_no_login(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    found = SimpleNamespace(token=token, expires_on=1)
    monkeypatch.setattr(DefaultAzureCredential, "get_token", lambda *_: found)
    with pytest.raises(RenewalError, match=r"set credentials\.azure\.user") as raised:
        AzureTokens(AzureSettings())()
    assert raised.value.reason == "output"


def test_claims_of_text_that_is_no_token_are_empty() -> None:
    assert claims_of("no token") == {}
    assert claims_of(jwt(oid=OID)) == {"oid": OID}


def test_refused_identity_is_named_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ClientAuthenticationError("hunter2")

    monkeypatch.setattr(DefaultAzureCredential, "get_token", refuse)
    with pytest.raises(RenewalError, match="ClientAuthenticationError") as raised:
        AzureTokens(AzureSettings())()
    assert raised.value.reason == "identity"
    assert "hunter2" not in str(raised.value)


def test_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(RenewalError, match=r"pip install 'redis-pulse\[azure\]'"):
        AzureTokens(AzureSettings())()
