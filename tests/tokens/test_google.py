"""Access tokens of Google IAM: the user is ``default``, and each renewal requests a new token."""

import sys
from datetime import datetime
from typing import Any

import pytest

pytest.importorskip("google.auth", reason="google-auth is missing: pip install 'redis-pulse[google]'")

import google.auth
from google.auth.exceptions import DefaultCredentialsError, RefreshError

from redis_pulse.config import GoogleSettings
from redis_pulse.tokens import RenewalError
from redis_pulse.tokens.google import GoogleTokens

#: As google-auth keeps it: in UTC, without a time zone.
EXPIRY = datetime(2025, 1, 1, 1)  # noqa: DTZ001


class Identity:
    """Credentials of google-auth: their token exists after ``refresh``."""

    def __init__(self) -> None:
        self.token: str | None = None
        self.expiry: datetime | None = None
        self.refreshes = 0
        self.error: Exception | None = None

    def refresh(self, _request: object) -> None:
        if self.error is not None:
            raise self.error
        self.refreshes += 1
        self.token, self.expiry = f"ya29.fake-{self.refreshes}", EXPIRY


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> Identity:
    found = Identity()

    def default(scopes: list[str]) -> tuple[Any, str]:
        assert scopes == ["https://www.googleapis.com/auth/cloud-platform"]
        return found, "project"

    monkeypatch.setattr(google.auth, "default", default)
    return found


def test_each_renewal_requests_a_token(identity: Identity) -> None:
    tokens = GoogleTokens(GoogleSettings())
    first, second = tokens(), tokens()
    assert (first.username, first.password, second.password) == ("default", "ya29.fake-1", "ya29.fake-2")
    assert first.expires_at == 1735693200.0
    assert "ya29" not in repr(first)


def test_token_without_expiry_has_none(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "EXPIRY", None)
    assert GoogleTokens(GoogleSettings(user="me"))().expires_at is None


def test_refused_refresh_is_named_without_its_text(identity: Identity) -> None:
    identity.error = RefreshError("hunter2")
    with pytest.raises(RenewalError, match="RefreshError") as raised:
        GoogleTokens(GoogleSettings())()
    assert raised.value.reason == "identity"
    assert "hunter2" not in str(raised.value)


def test_machine_without_identity_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def default(scopes: list[str]) -> None:
        raise DefaultCredentialsError("none")

    monkeypatch.setattr(google.auth, "default", default)
    with pytest.raises(RenewalError, match="DefaultCredentialsError"):
        GoogleTokens(GoogleSettings())()


def test_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth.transport.requests", None)
    with pytest.raises(RenewalError, match=r"pip install 'redis-pulse\[google\]'"):
        GoogleTokens(GoogleSettings())()
