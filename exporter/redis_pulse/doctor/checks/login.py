"""Find out whether the server accepts our login."""

from datetime import UTC, datetime

from redis_pulse.advice import for_error
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
    key = for_error("auth", text).key
    if key == "secret.unreadable" and target.password_file in examination.unreadable:
        return True
    if key == "auth" and not target.has_login:
        key = "auth.missing"
    elif key == "auth" and target.username and target.username != "default":
        key = "auth.user"
    examination.findings.add(
        key,
        location=target.name,
        problem=text.removeprefix("there is no login: "),
        path=str(target.password_file),
        source=target.token_source.kind if target.token_source else "",
    )
    return True


def _report_token(examination: Examination) -> None:
    """Report where a login comes from that expires, and when it does."""
    if (shared := examination.client.credentials.shared) is None:
        return
    until = "an unknown time"
    if shared.expires_at is not None:
        until = datetime.fromtimestamp(shared.expires_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    examination.findings.add("token.facts", source=shared.settings.kind, until=until)
