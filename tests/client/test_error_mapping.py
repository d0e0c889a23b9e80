"""Every foreign exception becomes one of ours, with a bounded reason and a text that holds no secret."""

import asyncio
import errno
import socket
import ssl

import pytest
from redis import exceptions as redis_errors
from redis._parsers import BaseParser

from redis_pulse.client.error_mapping import map_error, map_error_reply
from redis_pulse.errors import REASONS, NoDatabaseError, OverloadedError
from redis_pulse.log.processors import WITHHELD


def wrapped(cause: BaseException) -> redis_errors.ConnectionError:
    """Wrap it as redis-py does: raised while the cause was being handled."""
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
def test_the_network_gives_the_reason_also_when_the_library_wraps_it(error: Exception, reason: str) -> None:
    assert map_error(error, tls=False).reason == reason
    assert map_error(wrapped(error), tls=False).reason == reason


def test_a_missing_file_of_a_tls_connection_is_a_certificate() -> None:
    assert map_error(wrapped(FileNotFoundError(errno.ENOENT, "ca.pem")), tls=True).reason == "tls"


@pytest.mark.parametrize(
    ("answer", "reason", "unavailable"),
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
def test_an_error_reply_gives_its_reason_and_whether_the_server_counts_as_available(
    answer: str, reason: str, unavailable: bool
) -> None:
    for translated in (map_error(BaseParser.parse_error(answer), tls=False), map_error_reply(answer)):
        assert (translated.reason, translated.unavailable) == (reason, unavailable)
        assert translated.reason in REASONS


@pytest.mark.parametrize("answer", ["ERR DB index is out of range", "ERR SELECT is not allowed in cluster mode"])
def test_a_database_that_there_is_not_is_told_from_other_errors(answer: str) -> None:
    assert type(map_error(BaseParser.parse_error(answer), tls=False)) is NoDatabaseError
    assert type(map_error_reply(answer)) is NoDatabaseError


def test_a_closed_connection_is_a_reset_and_garbage_is_a_breach_of_protocol() -> None:
    assert map_error(redis_errors.ConnectionError("Connection closed by server."), tls=False).reason == "reset"
    assert map_error(redis_errors.InvalidResponse("Protocol Error: b'HTTP/1.1'"), tls=False).reason == "protocol"
    assert map_error(ValueError("x"), tls=False).reason == "other"


def test_a_password_that_a_server_echoes_is_not_passed_on() -> None:
    """A server that does not know AUTH quotes its arguments."""
    echoed = BaseParser.parse_error("ERR unknown command 'AUTH', with args beginning with: 'hunter2' ")
    assert "hunter2" not in str(map_error(echoed, tls=False))
    elsewhere = redis_errors.ResponseError("the password hunter2 is bad")
    assert str(map_error(elsewhere, tls=False, secret="hunter2")) == "the password *** is bad"


def test_a_long_text_is_cut_and_stays_one_line() -> None:
    text = str(map_error(redis_errors.ResponseError("x\r\ny" + "z" * 1000), tls=False))
    assert len(text) == 200
    assert "\n" not in text


def test_a_chain_of_causes_that_loops_ends() -> None:
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
def test_what_a_handshake_fails_with_comes_with_what_would_help(text: str, hint: str) -> None:
    error = map_error(wrapped(ssl.SSLError(1, text)), tls=True)
    assert error.reason == "tls"
    assert hint in str(error)
    assert "; " not in str(map_error(ssl.SSLCertVerificationError("self-signed certificate"), tls=True))


def test_the_code_that_the_library_takes_off_an_error_reply_is_in_the_text() -> None:
    """An operator looks for WRONGPASS; the pings, which do without the library, show it too."""
    answer = "WRONGPASS invalid username-password pair or user is disabled."
    error = BaseParser.parse_error(answer)
    assert str(map_error(error, tls=False)) == str(map_error_reply(answer)) == answer


@pytest.mark.parametrize("what", ["EXHAUSTED", "OTHER"])
def test_a_memorystore_that_cannot_ask_its_iam_just_now_has_said_nothing_of_our_token(what: str) -> None:
    answer = f"ERR (ERR_IAM_{what}) the IAM service could not be asked, try again later"
    for translated in (
        map_error(BaseParser.parse_error(answer), tls=False),
        map_error(redis_errors.AuthenticationError(answer), tls=False),
        map_error_reply(answer),
    ):
        assert type(translated) is OverloadedError
        assert (translated.reason, translated.unavailable) == ("busy", True)


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("m", "NOPERM User default has no permissions to run the 'info' command"),
        ("info", WITHHELD),
        ("default", WITHHELD),
        ("hunter2", "NOPERM User default has no permissions to run the 'info' command"),
    ],
)
def test_a_short_password_neither_spoils_a_text_nor_is_given_away_by_it(secret: str, said: str) -> None:
    """Three stars where the name of a command was tell which command it is."""
    answer = "NOPERM User default has no permissions to run the 'info' command"
    assert str(map_error_reply(answer, secret=secret)) == said
    assert map_error_reply(answer, secret=secret).reason == "permission"
