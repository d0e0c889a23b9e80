"""Is it a Redis at all? Names a web server, SSH, and anything else that answers in another way."""

from redis_pulse.doctor.examination import Examination
from redis_pulse.doctor.first_contact import Contact, Kind, sniff
from redis_pulse.errors import (
    AuthError,
    ConnectionResetByTargetError,
    LoadingError,
    OperationTimeoutError,
    PermissionDeniedError,
    ProtocolError,
    TargetError,
    TlsError,
    TooLargeError,
)
from redis_pulse.parse.reply import as_text

_ABOUT_LOGIN = (AuthError,)
_SILENT = (ConnectionResetByTargetError, OperationTimeoutError)
_KEYS: dict[Kind, str] = {"http": "protocol.http", "ssh": "protocol.ssh"}


async def check(examination: Examination) -> bool:
    """Report another protocol, and errors of PING that are not about the login."""
    found = await examination.reach()
    if found.error is not None and found.phase in ("dns", "tcp"):
        return False
    error, endpoint = found.error, examination.target.endpoint
    if error is None or isinstance(error, _ABOUT_LOGIN) or _is_explained(examination):
        return True
    if isinstance(error, TlsError) and not endpoint.tls:
        return True
    is_unclear = isinstance(error, ProtocolError | TlsError | ConnectionResetByTargetError | OperationTimeoutError)
    if is_unclear and endpoint.kind == "tcp" and await _report_other_protocol(examination):
        return True
    if not isinstance(error, TlsError | PermissionDeniedError):
        examination.findings.add(_key(error, found), problem=str(error), **await _progress(examination, error))
    return True


async def _progress(examination: Examination, error: TargetError) -> dict[str, str]:
    """Return how far a server has loaded its data. INFO works while it loads."""
    if not isinstance(error, LoadingError):
        return {}
    fields = _pairs(as_text(await examination.query("INFO", "persistence")) or "")
    return {
        "percent": fields.get("loading_loaded_perc", "?"),
        "eta": f"{fields.get('loading_eta_seconds', '?')} s",
    }


def _pairs(text: str) -> dict[str, str]:
    return dict(line.strip().split(":", 1) for line in text.splitlines() if ":" in line)


def _greeting_key(words: str) -> str:
    """Return the advice for an error that a server sends before it closes the connection, or an empty text.

    The connection of the probe may lose this error, because the kernel drops data when a connection is reset.
    """
    if words.startswith("-DENIED"):
        return "auth.protected"
    return "maxclients" if "max number of clients" in words else ""


async def _report_other_protocol(examination: Examination) -> bool:
    """Report what answers there, if that is no Redis. Return whether it is another protocol."""
    kind, words = await sniff(examination.target.endpoint)
    if kind == "redis" and (key := _greeting_key(words)):
        examination.findings.add(key, problem=words)
        return True
    if kind == "other":
        examination.findings.add("protocol", problem=f"it says {words!a}")
    elif kind in _KEYS:
        examination.findings.add(_KEYS[kind])
    return kind == "other" or kind in _KEYS


def _is_explained(examination: Examination) -> bool:
    """Return whether the check of TLS has named the cause."""
    return any(finding.check == "tls" and finding.advice.severity == "error" for finding in examination.findings)


def _key(error: TargetError, found: Contact) -> str:
    if isinstance(error, TooLargeError):
        return "too_large"
    if isinstance(error, OperationTimeoutError) and found.connection is None:
        return "connect.timeout" if found.phase == "tcp" else "timeout"
    return error.reason
