"""Find out whether the address accepts a connection."""

from redis_pulse.doctor.examination import Examination
from redis_pulse.errors import (
    ConnectionRefusedByTargetError,
    ConnectionResetByTargetError,
    OperationTimeoutError,
    SkippedError,
    UnreachableError,
)


async def check(examination: Examination) -> bool:
    """Report a connection that is refused, reset, filtered or without a route."""
    found = await examination.reach()
    if found.phase == "dns" and found.error is not None:
        return False
    if found.phase != "tcp" or found.error is None:
        return found.error is None or "tcp" in found.seconds
    match found.error:
        case ConnectionRefusedByTargetError():
            key = "refused"
        case OperationTimeoutError():
            key = "connect.timeout"
        case UnreachableError():
            key = "unreachable"
        case ConnectionResetByTargetError():
            key = "reset"
        case SkippedError():
            key = "skipped"
        case _:
            key = "other"
    if key in ("refused", "unreachable") and examination.target.endpoint.kind == "unix":
        key = "socket"
    examination.findings.add(key, problem=str(found.error))
    return True
