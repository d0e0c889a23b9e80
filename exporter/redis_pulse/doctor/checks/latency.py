"""How fast does the server answer? Twenty pings, with the share of the network and the noise of our own host."""

import asyncio
import statistics
from time import time_ns

from redis_pulse.advice.model import Value
from redis_pulse.doctor.examination import Examination
from redis_pulse.doctor.first_contact import ping
from redis_pulse.errors import TargetError
from redis_pulse.probe.clock import WallClockMonitor, round_trip

#: Number of pings, and seconds between two of them.
COUNT, PAUSE = 20, 0.02
#: Share of the median from which the network is named as the cause.
_NETWORK_SHARE = 0.7
#: Seconds of our own delay from which the latencies are doubtful.
NOISE_SECONDS = 0.02
#: Failed pings after which the rest is not sent.
_MAX_FAILED = 2


async def check(examination: Examination) -> bool:
    """Send pings, and compare the median with slo.latency."""
    connection = examination.connection
    if connection is None:
        return False
    clock = WallClockMonitor(examination.clock, time_ns)
    seconds: list[float] = []
    noise: list[float] = []
    failed = 0
    for _ in range(COUNT):
        try:
            epoch = clock.epoch()
            reply = await ping(connection, examination.target.probe.timeout)
        except TargetError:
            failed += 1
            if failed >= _MAX_FAILED:
                break
            continue
        trip = round_trip(
            reply.sent.at,
            reply.sent.at_ns,
            reply.received.at,
            reply.received.at_ns,
            reply.received.kernel_timestamp,
            same_epoch=clock.epoch() == epoch,
        )
        seconds.append(trip.seconds)
        noise.append(trip.overhead or 0.0)
        await asyncio.sleep(PAUSE)
    if failed:
        examination.findings.add("unsteady", failed=failed, count=len(seconds) + failed)
    if seconds:
        _report(examination, seconds, max(noise))
    return True


def _report(examination: Examination, seconds: list[float], noise: float) -> None:
    findings, connection = examination.findings, examination.connection
    p50 = statistics.median(seconds)
    info = connection.tcp_info() if connection is not None else None
    rtt = (info.min_rtt or info.rtt) if info is not None else None
    shown: dict[str, Value] = {"p50": _ms(p50), "max": _ms(max(seconds)), "count": len(seconds)}
    objective = examination.target.slo.latency
    if p50 > objective:
        if rtt is not None and rtt > _NETWORK_SHARE * p50:
            findings.add("slow.network", rtt=_ms(rtt), **shown)
        else:
            findings.add("slow", objective=_ms(objective), **shown)
    findings.add("latency.facts", network="unknown" if rtt is None else f"{_ms(rtt)} ms", noise=_ms(noise), **shown)
    if noise > NOISE_SECONDS:
        findings.add("host.cpu", noise=_ms(noise))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3g}"
