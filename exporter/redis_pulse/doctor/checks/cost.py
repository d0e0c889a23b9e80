"""What do our polls cost this server? Measured in the poll of the check ``permissions``."""

from redis_pulse.doctor.examination import Examination

#: Share of poll.interval from which a poll is expensive.
_SHARE = 0.1


async def check(examination: Examination) -> bool:
    """Report the cost of one poll."""
    result = examination.poll
    if result is None or not examination.is_polled:
        return False
    slowest = max(result.seconds, key=result.seconds.__getitem__, default="none")
    interval = examination.target.poll.interval
    took = result.took * 1000
    milliseconds = f"{took:.0f}" if took >= 100 else f"{took:.3g}"
    if result.took > _SHARE * interval:
        examination.findings.add("cost.high", ms=milliseconds, interval=f"{interval:g}", slowest=slowest)
    examination.findings.add(
        "cost.facts", ms=milliseconds, bytes=result.reply_bytes, commands=result.commands, slowest=slowest
    )
    return True
