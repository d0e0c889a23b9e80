"""The kernel's view of the connection for pings: published from connection to loss, and counted over reconnects."""

import sys
from pathlib import Path

import pytest

from redis_pulse.client import TcpInfo
from redis_pulse.errors import OperationTimeoutError
from tests.fakes import FakeServer
from tests.harness import TargetHarness, all_samples, eventually, metric_value
from tests.probe.test_kernel_timestamps import ManualProbeConnection, harness_with_manual_connection
from tests.probe.test_prober import PATIENT

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has TCP_INFO")
RTT, MIN_RTT = "redis_connection_tcp_rtt_seconds", "redis_connection_tcp_min_rtt_seconds"
RETRANSMITS = "redis_connection_tcp_retransmits_total"


def published(watched: TargetHarness) -> dict[str, float]:
    return {one.name: one.value for one in all_samples(watched.metrics) if one.name.startswith("redis_connection_tcp")}


def tcp_info(retransmits: int, *, rtt: float | None = 0.003, min_rtt: float | None = 0.002) -> TcpInfo:
    return TcpInfo(1, 0, 0, 0.2, 0, rtt, retransmits, 0, min_rtt)


def retransmits(watched: TargetHarness) -> float:
    return metric_value(watched.metrics, RETRANSMITS)


async def reconnected(watched: TargetHarness, connection: ManualProbeConnection, info: TcpInfo) -> None:
    """Lose the connection, and connect again. The next one is a new connection for the kernel."""
    session = watched.prober._session
    assert session is not None
    session.give_up(OperationTimeoutError("silent"))
    connection.info = info
    watched.clock.advance(1)
    await watched.probe_due()
    await eventually(lambda: watched.prober._session is not None and watched.prober._session.connection is not None)


async def test_round_trips_are_those_of_the_newest_reading() -> None:
    watched, connection = await harness_with_manual_connection()
    connection.info = tcp_info(0)
    assert published(watched) == {}, "nothing was read since"
    watched.prober.read_tcp_info()
    assert published(watched) == {RTT: 0.003, MIN_RTT: 0.002, RETRANSMITS: 0}
    connection.info = tcp_info(0, rtt=0.004, min_rtt=None)
    watched.prober.read_tcp_info()
    assert published(watched) == {RTT: 0.004, RETRANSMITS: 0}
    await watched.close()


async def test_retransmits_are_added_over_connections_and_never_decrease() -> None:
    watched, connection = await harness_with_manual_connection()
    for count, total in ((0, 0), (2, 2), (2, 2), (5, 5), (1, 5), (6, 6)):  # a kernel does not count back, but who knows
        connection.info = tcp_info(count)
        watched.prober.read_tcp_info()
        assert retransmits(watched) == total
    await reconnected(watched, connection, tcp_info(1))
    assert retransmits(watched) == 7
    connection.info = tcp_info(3)
    watched.prober.read_tcp_info()
    assert retransmits(watched) == 9
    await watched.close()


async def test_retransmits_before_the_end_of_a_connection_count() -> None:
    """A dead path is given up seconds after the first retransmission, long before the next poll."""
    watched, connection = await harness_with_manual_connection()
    connection.info = tcp_info(4)
    await reconnected(watched, connection, tcp_info(0))
    assert retransmits(watched) == 4
    await watched.close()


async def test_lost_connection_has_no_round_trip_but_its_counter() -> None:
    watched, connection = await harness_with_manual_connection()
    connection.info = tcp_info(1)
    watched.prober.read_tcp_info()
    session = watched.prober._session
    assert session is not None
    session.give_up(OperationTimeoutError("silent"))
    watched.prober.read_tcp_info()
    assert published(watched) == {RETRANSMITS: 1}
    await watched.close()


async def test_kernel_that_tells_nothing_has_no_series() -> None:
    watched, connection = await harness_with_manual_connection()
    assert connection.info is None
    watched.prober.read_tcp_info()
    assert published(watched) == {}
    await watched.close()


@linux_only
async def test_real_connection_is_published_as_soon_as_it_is_open() -> None:
    async with FakeServer() as server:
        watched = TargetHarness(server.url, breaker=PATIENT)
        await watched.probe_due()
        await watched.ended(1)
        assert published(watched).keys() >= {RTT, RETRANSMITS}
        assert 0 < metric_value(watched.metrics, RTT) < 1
        await watched.close()


async def test_unix_socket_has_no_series(tmp_path: Path) -> None:
    async with FakeServer(unix_path=tmp_path / "s") as server:
        watched = TargetHarness(server.url, breaker=PATIENT)
        await watched.probe_due()
        await watched.ended(1)
        watched.prober.read_tcp_info()
        assert watched.observer.reasons == ["ok"]
        assert published(watched) == {}
        await watched.close()
