"""Map exceptions of redis-py, sockets, the resolver and TLS to ``TargetError``.

redis-py wraps the exceptions of lower layers, so the reason is searched along the chain of causes. The texts of a
server are shortened, and cut before arguments. A server that does not know AUTH quotes the password there.
"""

import errno
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from redis import exceptions as redis_errors

from redis_pulse import errors
from redis_pulse.blocking import BlockedError, NoThreadError
from redis_pulse.client.credentials import Credentials
from redis_pulse.config import TargetSettings, no_entry
from redis_pulse.errors import TargetError
from redis_pulse.file_descriptors import SHORTAGE_ERRNOS
from redis_pulse.masking import hide, mask

_MAX_CHARACTERS = 200
_ERRNO = re.compile(r"\[Errno (-?\d+)\]")
_UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EADDRNOTAVAIL}

#: By the class that redis-py chooses for an error code.
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

#: By the start of the text, in lower case: for unparsed error replies, and where redis-py has no class.
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


#: Hints by the text of OpenSSL, in lower case.
_TLS_HINTS = (
    ("certificate required", "the server wants a client certificate: set tls.cert_file and tls.key_file"),
    ("alert handshake failure", "does the server want a client certificate? set tls.cert_file and tls.key_file"),
    ("alert unknown ca", "the server does not trust the CA of our client certificate (tls.cert_file)"),
    ("wrong version number", "is this port without TLS? try redis://"),
    ("record layer failure", "is this port without TLS? try redis://"),
    ("key values mismatch", "tls.key_file is not the key of tls.cert_file"),
    ("pem lib", "is the key in tls.key_file, without a passphrase, and are all files PEM?"),
    ("no certificate or crl found", "tls.ca_file holds no certificate (PEM)"),
)
#: Hints for a server that never replied and closes the connection, or is silent in the handshake.
HINT_TRY_TLS, HINT_TRY_PLAIN = "does this port want TLS? try rediss://", "is this port without TLS? try redis://"
HINT_CLIENT_CERTIFICATE = "perhaps the server wants a client certificate: set tls.cert_file and tls.key_file"

_KEY_DENIED = re.compile(r"no permissions to access (a|one of the) (key|channel)", re.IGNORECASE)
#: Memorystore could not query its IAM service, or queried it too often. Our token may still be right.
_IAM_IS_BUSY = re.compile(r"\(ERR_IAM_(EXHAUSTED|OTHER)\)", re.IGNORECASE)
_BY_PATTERN: tuple[tuple[re.Pattern[str], type[TargetError]], ...] = (
    (_IAM_IS_BUSY, errors.OverloadedError),
    (_KEY_DENIED, errors.KeyDeniedError),
)


class ErrorMapper:
    """Maps the exceptions of one target's connections to ``TargetError``. No text contains a secret.

    ``renamed`` maps the usual name of a command to its name on this server, which is often kept secret.
    """

    def __init__(
        self, settings: TargetSettings, credentials: Credentials, renamed: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._renamed = renamed

    def __call__(self, error: BaseException) -> TargetError:
        """Return the ``TargetError`` for an exception. A ``TargetError`` keeps its class."""
        if not isinstance(error, TargetError):
            mapped = map_error(error, tls=self._settings.endpoint.tls, secret=self._credentials.secret)
            errors.forget_frames(error)  # redis-py keeps an error in the frame that raised it
            error = type(mapped)(_with_usual_names(str(mapped), self._renamed)) if self._renamed else mapped
        return self._explain_missing_password(error)

    def _explain_missing_password(self, error: TargetError) -> TargetError:
        """Return the reason why no AUTH was sent, if the server requires one (NOAUTH).

        With a password, AUTH would have been sent. So the password file has no entry for this server.
        """
        is_noauth = isinstance(error, errors.AuthError) and "authentication required" in str(error).lower()
        if is_noauth and self._settings.password_file:
            return errors.AuthError(no_entry(self._settings.endpoint))
        return error


def map_error(error: BaseException, *, tls: bool, secret: str | None = None) -> TargetError:
    """Return the ``TargetError`` for an exception. Its text does not contain ``secret``."""
    kind = _class_of(error, tls=tls)
    text = _without_secret(_text_of(error, secret), secret)
    if kind is errors.TlsError:
        text = with_hint(text, next((hint for part, hint in _TLS_HINTS if part in text.lower()), ""))
    return kind(text)


def map_error_reply(text: str, *, secret: str | None = None) -> TargetError:
    """Return the ``TargetError`` for an error reply, given as the server sent it, without its minus."""
    return _class_of_text(" ".join(text.split()))(_without_secret(_one_line(text, secret), secret))


def with_hint(text: str, hint: str) -> str:
    """Return the text of an error together with a hint, which may be empty."""
    return f"{text}; {hint}" if hint else text


def with_tls_hint(error: TargetError, uses_tls: bool, has_certificate: bool, hangs_in_tls: bool) -> TargetError:
    """Return the error of a target that never replied, with a hint about TLS where one may help."""
    is_reset = isinstance(error, errors.ConnectionResetByTargetError)
    if is_reset and not uses_tls:
        return type(error)(with_hint(str(error), HINT_TRY_TLS))
    if is_reset and not has_certificate:
        # The alert that would name the cause was lost with the connection.
        return type(error)(with_hint(str(error), HINT_CLIENT_CERTIFICATE))
    if isinstance(error, errors.OperationTimeoutError) and uses_tls and hangs_in_tls:
        return type(error)(with_hint(str(error), HINT_TRY_PLAIN))
    return error


def is_error_reply(error: BaseException) -> bool:
    """Return whether the server sent this error. redis-py raises some error replies as connection errors."""
    return isinstance(error, redis_errors.ResponseError) or getattr(error, "status_code", None) is not None


def _with_usual_names(text: str, renamed: Mapping[str, str]) -> str:
    for name, server_name in renamed.items():
        text = re.sub(rf"(?<![\w]){re.escape(server_name)}(?![\w])", name.lower(), text, flags=re.IGNORECASE)
    return text


def _class_of(error: BaseException, *, tls: bool) -> type[TargetError]:
    chain = list(_chain(error))
    for cause in chain:
        if (network := _class_of_network_error(cause, tls=tls)) is not None:
            return network
    for cause in chain:
        if (specific := _class_by_pattern(str(cause))) is not None:
            return specific  # before the class of redis-py, which would say only "permission" or "auth"
        for redis_class, target_class in _BY_CLASS:
            if isinstance(cause, redis_class):
                return target_class
        if (by_text := _class_of_text(str(cause))) is not TargetError:
            return by_text
    if isinstance(error, redis_errors.ConnectionError):
        return errors.ConnectionResetByTargetError
    return TargetError


def _class_by_pattern(text: str) -> type[TargetError] | None:
    return next((target_class for pattern, target_class in _BY_PATTERN if pattern.search(text)), None)


def _class_of_text(text: str) -> type[TargetError]:
    if (specific := _class_by_pattern(text)) is not None:
        return specific
    text = text.lower().removeprefix("-").removeprefix("err ")
    for start, target_class in _BY_TEXT:
        if text.startswith(start):
            return target_class
    return TargetError


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, then its causes, from the outermost to the innermost. A loop in the chain ends it."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _class_of_network_error(error: BaseException, *, tls: bool) -> type[TargetError] | None:
    """Return the class for an exception of the socket, the resolver or TLS, or None for any other exception."""
    # A file that is missing is a certificate of a TLS connection. Without TLS it is the unix socket.
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
        (IsADirectoryError, no_file),
        (PermissionError, no_file),
        (EOFError, errors.ConnectionResetByTargetError),
    )
    for network_class, target_class in table:
        if isinstance(error, network_class):
            return target_class
    return _class_by_errno(error) if isinstance(error, OSError) else None


def _class_by_errno(error: OSError) -> type[TargetError]:
    code = error.errno
    if code is None and (codes := _ERRNO.findall(str(error))):
        code = int(codes[-1])  # several addresses failed: the last error decides
    if code == errno.ECONNREFUSED:
        return errors.ConnectionRefusedByTargetError
    if code in SHORTAGE_ERRNOS:
        return errors.SkippedError
    return errors.UnreachableError if code in _UNREACHABLE else errors.ConnectionResetByTargetError


def _text_of(error: BaseException, secret: str | None) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = _one_line(str(error), secret) or type(error).__name__
    code = getattr(error, "status_code", None)  # redis-py removes it from the text: WRONGPASS, NOAUTH, NOPERM
    return f"{code} {text}" if code and not text.startswith(code) else text


def _one_line(text: str, secret: str | None) -> str:
    """Return a text with one blank between words, without ``secret``. A secret may have several blanks in a row."""
    joined = " ".join(hide(text, secret).split())
    return hide(joined, " ".join(secret.split())) if secret else joined


def _without_secret(text: str, secret: str | None) -> str:
    text = re.split(r",? with args beginning with", text)[0]
    text = mask(hide(text, secret))
    return text if len(text) <= _MAX_CHARACTERS else text[: _MAX_CHARACTERS - 1] + "…"
