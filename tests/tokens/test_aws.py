"""Tokens of AWS IAM equal the published signatures, byte by byte."""

import sys
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest

pytest.importorskip("botocore", reason="botocore is missing: pip install 'redis-pulse[aws]'")

import botocore.auth
from botocore.credentials import Credentials
from botocore.exceptions import CredentialRetrievalError

from redis_pulse.config import AwsSettings
from redis_pulse.tokens import RenewalError
from redis_pulse.tokens.aws import LIFE, AwsTokens, presigned_token

Y25, OCTOBER_26 = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 10, 1, 12, 30, tzinfo=UTC)
FAKE = Credentials("fakeAccessKeyId", "fakeSecretKey")
FAKE_SESSION = Credentials("fakeAccessKeyId", "fakeSecretKey", "fakeSessionToken")
#: The key pair of the documentation of AWS.
DOCUMENTED = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
PLAIN, PLAIN_SESSION = Credentials("access-key", "secret-key"), Credentials("access-key", "secret-key", "session-token")

GROUP = {"name": "my-replication-group-id", "user": "my-user-id", "region": "eu-west-1"}
CACHE = {"name": "my-cache", "user": "testuser", "region": "us-east-1"}
MEMORYDB = {"service": "memorydb", "name": "cluster", "user": "redis-user", "region": "us-east-1"}
HOST = {"name": "cluster.example.memorydb.amazonaws.com"}
ADDRESS = {"name": "cache.example.amazonaws.com", "user": "alice@example.com", "region": "us-east-1"}


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set the clock of botocore."""
    return lambda when: monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_args, **_options: when)


@pytest.mark.parametrize(
    ("settings", "credentials", "when", "signature"),
    [
        (GROUP, FAKE, Y25, "9e361603d85874bce06114c6644725ed113e3b11ae6fa92efdf10c6bcf5de8d7"),
        (GROUP, FAKE_SESSION, Y25, "bbce2bd61bd78461297ecb92e7001ddbeab2d85906c3cbedad6c9b81fb3466dc"),
        (
            CACHE | {"serverless": True},
            DOCUMENTED,
            Y25,
            "28f349fd92f74e0192de149a74743ae7d087bb136523c342bdd67632a8360023",
        ),
        (CACHE, DOCUMENTED, Y25, "cd78a7de74c1bb1c8c685cac428f783b5433ce5fbf569af867570311d6a85797"),
        (MEMORYDB, PLAIN_SESSION, OCTOBER_26, "b79ecb133c9b1797ec77e8bc5e99b7a6b1848bc3b53c39eb6d7706d58420eeab"),
        (MEMORYDB | HOST, PLAIN, OCTOBER_26, "0ec430b11027787fa361a6fd300bd4910e66af5f388cf5a1abddd183d9f29be5"),
        (
            ADDRESS | {"serverless": True},
            PLAIN,
            OCTOBER_26,
            "e6a68f3652e7ea35c818a8052ad51287fa1a798738ff681d8edb21c80e74ef1e",
        ),
        (
            {"service": "memorydb", "name": "my-cluster", "user": "my-user", "region": "eu-west-1"},
            FAKE,
            Y25,
            "0deed1255c345cf55d799a29a0fe1472304aeff420e757ffd679e23337e3d66f",
        ),
    ],
)
def test_signature_is_the_published_one(
    at: Any, settings: dict[str, Any], credentials: Credentials, when: datetime, signature: str
) -> None:
    """Published by AWS (its sample application), by tests of two other clients. The last one is our own."""
    at(when)
    token = presigned_token(AwsSettings(**settings), credentials)
    assert dict(parse_qsl(token.partition("?")[2]))["X-Amz-Signature"] == signature


def test_token_is_the_request_without_its_scheme(at: Any) -> None:
    at(Y25)
    assert presigned_token(AwsSettings(**GROUP), FAKE) == (
        "my-replication-group-id/?Action=connect&User=my-user-id&X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=fakeAccessKeyId%2F20250101%2Feu-west-1%2Felasticache%2Faws4_request"
        "&X-Amz-Date=20250101T000000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=9e361603d85874bce06114c6644725ed113e3b11ae6fa92efdf10c6bcf5de8d7"
    )


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> pytest.MonkeyPatch:
    """No credentials of this machine: neither of its environment, nor of its files, nor of an instance."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


def test_credentials_of_the_environment_give_a_login(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    token = AwsTokens(AwsSettings(**GROUP), lambda: 1000.0)()
    assert (token.username, token.expires_at) == ("my-user-id", 1000.0 + LIFE)
    assert "X-Amz-Expires=900" in token.password
    assert "X-Amz" not in repr(token)


def test_machine_without_credentials_has_no_identity(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(RenewalError, match="botocore finds no credentials") as raised:
        AwsTokens(AwsSettings(**GROUP))()
    assert raised.value.reason == "identity"


def test_error_of_botocore_is_named_without_its_text(environment: pytest.MonkeyPatch) -> None:
    def fail(_self: object) -> None:
        raise CredentialRetrievalError(provider="web-identity", error_msg="hunter2")

    environment.setattr("botocore.session.Session.get_credentials", fail)
    with pytest.raises(RenewalError, match="CredentialRetrievalError") as raised:
        AwsTokens(AwsSettings(**GROUP))()
    assert "hunter2" not in str(raised.value)


def test_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(RenewalError, match=r"pip install 'redis-pulse\[aws\]'") as raised:
        AwsTokens(AwsSettings(**GROUP))()
    assert raised.value.reason == "library"
