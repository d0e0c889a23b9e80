"""Find out whether the server accepts our login."""

from datetime import UTC, datetime

from redis_pulse.doctor.examination import Examination
from redis_pulse.errors import AuthError


async def check(examination: Examination) -> bool:
    """Report a password that is missing, wrong, or not expected."""
    found = await examination.connect()
    if found.error is None:
        _report_token(examination)
    if found.error is None or not isinstance(found.error, AuthError):
        return found.error is None
    target, text = examination.target, str(found.error)
    lower = text.lower()
    if target.token_source is not None and lower.startswith("there is no login"):
        examination.findings.add("auth.token", problem=text, source=target.token_source.kind)
    elif "cannot read the password file" in lower:
        examination.findings.add(
            "secret.unreadable", location=target.name, problem=text, path=str(target.password_file)
        )
    elif "denied" in lower and "protected mode" in lower:
        examination.findings.add("auth.protected", problem=text)
    elif "without any password configured" in lower or "no password is set" in lower:
        examination.findings.add("auth.unexpected", problem=text)
    elif not target.has_login or "no entry" in lower:
        examination.findings.add("auth.missing", problem=text)
    elif target.username and target.username != "default":
        examination.findings.add("auth.user", problem=text)
    else:
        examination.findings.add("auth", problem=text)
    return True


def _report_token(examination: Examination) -> None:
    """Report where a login comes from that expires, and when it does."""
    if (shared := examination.client.credentials.shared) is None:
        return
    until = "an unknown time"
    if shared.expires_at is not None:
        until = datetime.fromtimestamp(shared.expires_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    examination.findings.add("token.facts", source=shared.settings.kind, until=until)
