"""Does the name of the target resolve? Makes the first connection, which the next checks read."""

from redis_pulse.doctor.examination import Examination
from redis_pulse.errors import NameResolutionError


async def check(examination: Examination) -> bool:
    """Connect, and report a name that does not resolve."""
    found = await examination.reach()
    if isinstance(found.error, NameResolutionError) or (found.error is not None and found.phase == "dns"):
        examination.findings.add("dns", problem=str(found.error))
    return True
