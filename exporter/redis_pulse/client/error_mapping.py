"""Foreign exceptions into our tree, once, at the door.

The library wraps what the socket, the resolver and TLS said; the reason is found along the chain of causes. Texts of a
server are kept short and free of arguments: a server that does not know AUTH answers with the password in its error.
"""

import errno
import re
import socket
import ssl
from collections.abc import Iterator, Mapping

from redis import exceptions as redis_errors

from redis_pulse import errors
from redis_pulse.blocking import BlockedError, NoThreadError
from redis_pulse.config import TargetSettings, no_entry
from redis_pulse.errors import TargetError
from redis_pulse.file_descriptors import LACKING
from redis_pulse.log.processors import hide

_LONGEST = 200
_ERRNO = re.compile(r"\[Errno (-?\d+)\]")
_UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EADDRNOTAVAIL}

#: By the class that redis-py makes of an error code.
_BY_CLASS: tuple[tuple[type[Exception], type[TargetError]], ...] = (
    (redis_errors.AuthenticationError, errors.AuthError),
    (redis_errors.AuthenticationWrongNumberOfArgsError, errors.AuthError),
    (redis_errors.NoPermissionError, errors.PermissionDeniedError),
    (redis_errors.BusyLoadingError, errors.LoadingError),
    (redis_errors.ReadOnlyError, errors.ReadOnlyReplicaError),
    (redis_errors.OutOfMemoryError, errors.OutOfMemoryError),
    (redis_errors.MasterDownError, errors.MasterDownError),
    (redis_errors.ClusterDownError, errors.ClusterDownError),
    (redis_errors.MovedError, errors.MovedError),
    (redis_errors.InvalidResponse, errors.ProtocolError),
    (redis_errors.TimeoutError, errors.OperationTimeoutError),
)

#: By the beginning of the text: for error replies as the server sends them, and where the library has no class.
_BY_TEXT: tuple[tuple[str, type[TargetError]], ...] = (
    ("max number of clients", errors.MaxClientsError),
    ("loading ", errors.LoadingError),
    ("busy ", errors.BusyError),
    ("masterdown", errors.MasterDownError),
    ("clusterdown", errors.ClusterDownError),
    ("readonly", errors.ReadOnlyReplicaError),
    ("oom ", errors.OutOfMemoryError),
    ("misconf", errors.MisconfError),
    ("noauth", errors.AuthError),
    ("wrongpass", errors.AuthError),
    ("invalid password", errors.AuthError),
    ("client sent auth", errors.AuthError),
    ("auth <password> called", errors.AuthError),
    ("wrong number of arguments for 'auth'", errors.AuthError),
    ("denied", errors.AuthError),
    ("noperm", errors.PermissionDeniedError),
    ("noproto", errors.ProtocolError),
    ("protocol error", errors.ProtocolError),
    ("db index is out of range", errors.NoDatabaseError),
    ("select is not allowed in cluster mode", errors.NoDatabaseError),
    ("unknown command", errors.UnknownCommandError),
    ("command is not available", errors.UnknownCommandError),  # Upstash
    ("unknown subcommand", errors.UnknownCommandError),
    ("unknown sentinel subcommand", errors.UnknownCommandError),
)


#: What would help, by what OpenSSL says.
_TLS_HINTS = (
    ("certificate required", "the server wants a client certificate: set tls.cert_file and tls.key_file"),
    ("alert handshake failure", "does the server want a client certificate? set tls.cert_file and tls.key_file"),
    ("alert unknown ca", "the server does not trust the CA of our client certificate (tls.cert_file)"),
    ("wrong version number", "is this port without TLS? try redis://"),
    ("record layer failure", "is this port without TLS? try redis://"),
)
#: What would help where a server that never answered hangs up, or is silent in the handshake.
WANTS_TLS, WITHOUT_TLS = "does this port want TLS? try rediss://", "is this port without TLS? try redis://"
MAY_WANT_CERTIFICATE = "perhaps the server wants a client certificate: set tls.cert_file and tls.key_file"

_KEY_DENIED = re.compile(r"no permissions to access (a|one of the) (key|channel)", re.IGNORECASE)
#: Memorystore could not ask its IAM just now, or asked it too often: no word about our token.
_IAM_IS_BUSY = re.compile(r"\(ERR_IAM_(EXHAUSTED|OTHER)\)", re.IGNORECASE)
_BY_PATTERN: tuple[tuple[re.Pattern[str], type[TargetError]], ...] = (
    (_IAM_IS_BUSY, errors.OverloadedError),
    (_KEY_DENIED, errors.KeyDeniedError),
)


def map_error(error: BaseException, *, tls: bool, secret: str | None = None) -> TargetError:
    """Return the error of our tree that says what happened; its text never holds ``secret``."""
    kind = _kind(error, tls=tls)
    text = _safe(_text(error), secret)
    if kind is errors.TlsError:
        text = with_hint(text, next((hint for said, hint in _TLS_HINTS if said in text.lower()), ""))
    return kind(text)


def with_hint(text: str, hint: str) -> str:
    """Return what went wrong, and what would help."""
    return f"{text}; {hint}" if hint else text


def map_error_reply(text: str, *, secret: str | None = None) -> TargetError:
    """Return the error of our tree for an error reply, given as the server sent it, without its minus."""
    text = " ".join(text.split())
    return _kind_of_text(text)(_safe(text, secret))


def with_own_names(text: str, renamed: Mapping[str, str]) -> str:
    """Return what a server said, with the usual name of a renamed command: the other one is often kept secret."""
    for name, word in renamed.items():
        text = re.sub(rf"(?<![\w]){re.escape(word)}(?![\w])", name.lower(), text, flags=re.IGNORECASE)
    return text


def safe_text(error: TargetError, settings: TargetSettings) -> TargetError:
    """Say why we did not log in where the server says that we did not (NOAUTH).

    With a password we would have logged in: so the password file had none for this server.
    """
    no_login = isinstance(error, errors.AuthError) and "authentication required" in str(error).lower()
    return errors.AuthError(no_entry(settings.endpoint)) if no_login and settings.password_file else error


def is_reply(error: BaseException) -> bool:
    """Whether the server answered this; the library raises some error replies as if the connection were gone."""
    return isinstance(error, redis_errors.ResponseError) or getattr(error, "status_code", None) is not None


def _kind(error: BaseException, *, tls: bool) -> type[TargetError]:
    chain = list(_chain(error))
    for cause in chain:
        if (found := _network(cause, tls=tls)) is not None:
            return found
    for cause in chain:
        if (plain := _by_pattern(str(cause))) is not None:
            return plain  # before the class: it would say no more than "permission" or "auth"
        for foreign, ours in _BY_CLASS:
            if isinstance(cause, foreign):
                return ours
        if (known := _kind_of_text(str(cause))) is not TargetError:
            return known
    if isinstance(error, redis_errors.ConnectionError):
        return errors.ConnectionResetByTargetError
    return TargetError


def _by_pattern(text: str) -> type[TargetError] | None:
    return next((ours for pattern, ours in _BY_PATTERN if pattern.search(text)), None)


def _kind_of_text(text: str) -> type[TargetError]:
    if (plain := _by_pattern(text)) is not None:
        return plain
    text = text.lower().removeprefix("-").removeprefix("err ")
    for beginning, ours in _BY_TEXT:
        if text.startswith(beginning):
            return ours
    return TargetError


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what led to it, the innermost last; a loop in the chain ends it."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _network(error: BaseException, *, tls: bool) -> type[TargetError] | None:
    """Say what an exception of socket, resolver or TLS means."""
    # A missing file is a certificate of a TLS connection, else the unix socket.
    no_file = errors.TlsError if tls else errors.UnreachableError
    if isinstance(error, NoThreadError):
        return errors.SkippedError
    if isinstance(error, BlockedError):
        return errors.OperationTimeoutError
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_MEMORY:
        return errors.SkippedError
    table: tuple[tuple[type[BaseException], type[TargetError]], ...] = (
        (ssl.SSLError, errors.TlsError),
        (socket.gaierror, errors.NameResolutionError),
        (UnicodeError, errors.NameResolutionError),
        (TimeoutError, errors.OperationTimeoutError),
        (FileNotFoundError, no_file),
        (PermissionError, no_file),
        (EOFError, errors.ConnectionResetByTargetError),
    )
    for foreign, ours in table:
        if isinstance(error, foreign):
            return ours
    return _by_errno(error) if isinstance(error, OSError) else None


def _by_errno(error: OSError) -> type[TargetError]:
    code = error.errno
    if code is None and (codes := _ERRNO.findall(str(error))):
        code = int(codes[-1])  # several addresses were tried: the last one speaks for all
    if code == errno.ECONNREFUSED:
        return errors.ConnectionRefusedByTargetError
    if code in LACKING:
        return errors.SkippedError
    return errors.UnreachableError if code in _UNREACHABLE else errors.ConnectionResetByTargetError


def _text(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = " ".join(str(error).split()) or type(error).__name__
    code = getattr(error, "status_code", None)  # the library takes it off the text: WRONGPASS, NOAUTH, NOPERM
    return f"{code} {text}" if code and not text.startswith(code) else text


def _safe(text: str, secret: str | None) -> str:
    text = re.split(r",? with args beginning with", text)[0]
    text = hide(text, secret)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
