"""Every exception becomes a TargetError with a bounded reason, and with a text that contains no secret."""

import asyncio
import errno
import socket
import ssl

import pytest
from redis import exceptions as redis_errors
from redis._parsers import BaseParser

from redis_pulse.client.error_mapping import map_error, map_error_reply
from redis_pulse.errors import REASONS, NoDatabaseError, OverloadedError
from redis_pulse.masking import WITHHELD


def wrapped(cause: BaseException) -> redis_errors.ConnectionError:
    """Return an exception with a cause in its context, as redis-py raises it."""
    error = redis_errors.ConnectionError(str(cause))
    error.__context__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"), "refused"),
        (OSError("Multiple exceptions: [Errno 111] … ('::1', 1), [Errno 111] … ('127.0.0.1', 1)"), "refused"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "reset"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "reset"),
        (asyncio.IncompleteReadError(b"", 1), "reset"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "dns"),
        (UnicodeError("label too long"), "dns"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "unreachable"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "unreachable"),
        (FileNotFoundError(errno.ENOENT, "No such file"), "unreachable"),
        (TimeoutError(), "timeout"),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), "timeout"),
        (ssl.SSLCertVerificationError("self-signed certificate"), "tls"),
    ],
)
def test_network_error_has_reason_even_when_wrapped(error: Exception, reason: str) -> None:
    assert map_error(error, tls=False).reason == reason
    assert map_error(wrapped(error), tls=False).reason == reason


def test_missing_file_of_tls_connection_is_tls_error() -> None:
    assert map_error(wrapped(FileNotFoundError(errno.ENOENT, "ca.pem")), tls=True).reason == "tls"


@pytest.mark.parametrize(
    ("reply", "reason", "unavailable"),
    [
        ("LOADING Redis is loading the dataset in memory", "loading", True),
        ("BUSY Redis is busy running a script. You can only call SCRIPT KILL.", "busy", True),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "masterdown", True),
        ("ERR max number of clients reached", "maxclients", True),
        ("NOAUTH Authentication required.", "auth", False),
        ("WRONGPASS invalid username-password pair or user is disabled.", "auth", False),
        ("ERR invalid password", "auth", False),
        ("DENIED Redis is running in protected mode because protected mode is enabled", "auth", False),
        ("NOPERM User default has no permissions to run the 'info' command", "permission", False),
        ("READONLY You can't write against a read only replica.", "readonly", False),
        ("OOM command not allowed when used memory > 'maxmemory'.", "oom", False),
        ("MISCONF Redis is configured to save RDB snapshots, but it's unable to persist", "misconf", False),
        ("CLUSTERDOWN The cluster is down", "clusterdown", False),
        ("ERR DB index is out of range", "other", False),
        ("ERR unknown command 'LATENCY', with args beginning with: 'LATEST' ", "other", False),
        ("ERR Command is not available: 'LATENCY'. See https://docs", "other", False),
        ("ERR something new", "other", False),
    ],
)
def test_error_reply_has_reason_and_availability(reply: str, reason: str, unavailable: bool) -> None:
    for mapped in (map_error(BaseParser.parse_error(reply), tls=False), map_error_reply(reply)):
        assert (mapped.reason, mapped.unavailable) == (reason, unavailable)
        assert mapped.reason in REASONS


@pytest.mark.parametrize("reply", ["ERR DB index is out of range", "ERR SELECT is not allowed in cluster mode"])
def test_missing_database_has_own_class(reply: str) -> None:
    assert type(map_error(BaseParser.parse_error(reply), tls=False)) is NoDatabaseError
    assert type(map_error_reply(reply)) is NoDatabaseError


def test_closed_connection_is_reset_and_garbage_is_protocol_error() -> None:
    assert map_error(redis_errors.ConnectionError("Connection closed by server."), tls=False).reason == "reset"
    assert map_error(redis_errors.InvalidResponse("Protocol Error: b'HTTP/1.1'"), tls=False).reason == "protocol"
    assert map_error(ValueError("x"), tls=False).reason == "other"


def test_password_in_error_reply_is_hidden() -> None:
    """A server that does not know AUTH quotes its arguments."""
    quoted = BaseParser.parse_error("ERR unknown command 'AUTH', with args beginning with: 'hunter2' ")
    assert "hunter2" not in str(map_error(quoted, tls=False))
    elsewhere = redis_errors.ResponseError("the password hunter2 is bad")
    assert str(map_error(elsewhere, tls=False, secret="hunter2")) == "the password *** is bad"


def test_long_text_is_cut_to_one_line() -> None:
    text = str(map_error(redis_errors.ResponseError("x\r\ny" + "z" * 1000), tls=False))
    assert len(text) == 200
    assert "\n" not in text


def test_loop_in_chain_of_causes_ends() -> None:
    one, two = redis_errors.ConnectionError("one"), redis_errors.ConnectionError("two")
    one.__context__, two.__context__ = two, one
    assert map_error(one, tls=False).reason == "reset"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required", "wants a client certificate"),
        ("[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] sslv3 alert handshake failure", "want a client certificate?"),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "is this port without TLS?"),
        ("[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca", "does not trust the CA"),
    ],
)
def test_failed_handshake_has_hint(text: str, hint: str) -> None:
    error = map_error(wrapped(ssl.SSLError(1, text)), tls=True)
    assert error.reason == "tls"
    assert hint in str(error)
    assert "; " not in str(map_error(ssl.SSLCertVerificationError("self-signed certificate"), tls=True))


def test_code_that_redis_py_removes_is_in_text() -> None:
    """Operators search for WRONGPASS. Pings, which do not use redis-py, report it too."""
    reply = "WRONGPASS invalid username-password pair or user is disabled."
    error = BaseParser.parse_error(reply)
    assert str(map_error(error, tls=False)) == str(map_error_reply(reply)) == reply


@pytest.mark.parametrize("code", ["EXHAUSTED", "OTHER"])
def test_busy_iam_service_is_overload_not_wrong_token(code: str) -> None:
    reply = f"ERR (ERR_IAM_{code}) the IAM service could not be asked, try again later"
    for mapped in (
        map_error(BaseParser.parse_error(reply), tls=False),
        map_error(redis_errors.AuthenticationError(reply), tls=False),
        map_error_reply(reply),
    ):
        assert type(mapped) is OverloadedError
        assert (mapped.reason, mapped.unavailable) == ("overloaded", True)


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("m", "NOPERM User default has no permissions to run the 'info' command"),
        ("info", WITHHELD),
        ("default", WITHHELD),
        ("hunter2", "NOPERM User default has no permissions to run the 'info' command"),
    ],
)
def test_short_password_in_text_is_not_revealed(secret: str, text: str) -> None:
    """Stars in place of the name of a command would reveal the password."""
    reply = "NOPERM User default has no permissions to run the 'info' command"
    assert str(map_error_reply(reply, secret=secret)) == text
    assert map_error_reply(reply, secret=secret).reason == "permission"


@pytest.mark.parametrize("secret", ["two  spaces S3K", "tab\tS3K-xx", "line\nS3K-xxx", "a  b"])
def test_secret_with_blanks_is_hidden_in_every_form(secret: str) -> None:
    """Servers echo a password unchanged, or with its blanks joined."""
    for shown in (secret, " ".join(secret.split())):
        text = f"ERR bad login, you said: u {shown}"
        for error in (
            map_error(redis_errors.ResponseError(text), tls=False, secret=secret),
            map_error_reply(text, secret=secret),
        ):
            assert secret not in str(error)
            assert " ".join(secret.split()) not in str(error)
