"""A cold connect is all that a client without a pool waits for, as one run with one outcome."""

from collections.abc import AsyncIterator

import pytest

from redis_pulse.config import BreakerSettings, ConnectionSettings
from redis_pulse.probe.cold_connect import ColdConnectProbe
from tests.fakes import GARBAGE, LOADING, NOAUTH, FakeServer, Reply
from tests.harness import TargetHarness, eventually, metric_value


class ColdConnectHarness(TargetHarness):
    """A target with a cold-connect probe."""

    def __init__(self, url: str, **changes: object) -> None:
        super().__init__(url, **changes)  # type: ignore[arg-type]
        self.cold = ColdConnectProbe(self.client, self.target_metrics, clock=self.clock)

    def outcome(self, reason: str) -> float:
        return self.failures(reason, "cold_connect")


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


async def test_run_connects_pings_and_leaves_nothing_behind(server: FakeServer) -> None:
    watched = ColdConnectHarness(server.url, password="secret")
    for _ in range(2):
        await watched.cold.run(0)
    assert server.received == [("AUTH", "secret"), ("PING",)] * 2
    assert server.accepted == 2
    assert watched.total("cold_connect") == 2
    assert metric_value(watched.metrics, "redis_operation_duration_seconds_count", operation="cold_connect") == 2
    await eventually(lambda: server.connected == 0)
    await watched.close()


@pytest.mark.parametrize(("reply", "reason"), [(LOADING, "loading"), (NOAUTH, "auth"), (GARBAGE, "protocol")])
async def test_error_reply_is_the_outcome(server: FakeServer, reply: Reply, reason: str) -> None:
    server.script("PING", reply)
    watched = ColdConnectHarness(server.url)
    await watched.cold.run(0)
    assert watched.outcome(reason) == 1
    await watched.close()


async def test_closed_or_refused_connection_is_the_outcome(server: FakeServer) -> None:
    server.script("PING", "close")
    watched = ColdConnectHarness(server.url)
    await watched.cold.run(0)
    assert watched.outcome("reset") == 1
    await watched.close()
    unreachable = ColdConnectHarness("redis://127.0.0.1:1")
    await unreachable.cold.run(0)
    assert unreachable.outcome("refused") == 1
    unreachable.client._reconnect_after = unreachable.clock() + 1
    await unreachable.cold.run(0)  # the backoff prevents a second attempt
    assert unreachable.outcome("refused") == 2
    assert unreachable.observer.connects == ["refused"]
    await unreachable.close()


async def test_run_has_a_deadline(server: FakeServer) -> None:
    server.script("PING", "never")
    watched = ColdConnectHarness(server.url, connection=ConnectionSettings(socket_connect_timeout=0.05))
    await watched.cold.run(0)
    assert watched.outcome("timeout") == 1
    assert watched.breaker.failures == 1
    await watched.close()


async def test_open_breaker_rejects_a_run(server: FakeServer) -> None:
    watched = ColdConnectHarness(server.url, breaker=BreakerSettings(force="open"))
    await watched.cold.run(0)
    assert watched.outcome("rejected") == 1
    assert server.accepted == 0
    await watched.close()


async def test_runs_that_never_started_are_counted(server: FakeServer) -> None:
    watched = ColdConnectHarness(server.url)
    watched.cold.missed(late=1, overrun=2)
    assert (watched.total("cold_connect"), watched.outcome("skipped"), watched.outcome("timeout")) == (3, 1, 2)
    await watched.close()
