"""A cold connect is everything that a client without a pool goes through, as one slot with one outcome."""

from collections.abc import AsyncIterator

import pytest

from redis_pulse.config import BreakerSettings, ConnectionSettings
from redis_pulse.probe.cold_connect import ColdConnectProbe
from tests.fakes import GARBAGE, LOADING, NOAUTH, FakeServer, Reply
from tests.harness import TargetHarness, eventually, metric_value


class Cold(TargetHarness):
    """A target with a cold-connect probe."""

    def __init__(self, url: str, **changes: object) -> None:
        super().__init__(url, **changes)  # type: ignore[arg-type]
        self.cold = ColdConnectProbe(self.client, self.breaker, self.of_target, clock=self.clock)

    def outcome(self, reason: str) -> float:
        return self.failures(reason, "cold_connect")


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


async def test_it_connects_pings_and_leaves_nothing_behind(server: FakeServer) -> None:
    watched = Cold(server.url, password="secret")
    for _ in range(2):
        await watched.cold.run(0)
    assert server.received == [("AUTH", "secret"), ("PING",)] * 2
    assert server.accepted == 2
    assert watched.total("cold_connect") == 2
    assert metric_value(watched.instruments, "redis_operation_duration_seconds_count", operation="cold_connect") == 2
    await eventually(lambda: server.connected == 0)
    await watched.close()


@pytest.mark.parametrize(("answer", "reason"), [(LOADING, "loading"), (NOAUTH, "auth"), (GARBAGE, "protocol")])
async def test_a_refusal_is_its_outcome(server: FakeServer, answer: Reply, reason: str) -> None:
    server.script("PING", answer)
    watched = Cold(server.url)
    await watched.cold.run(0)
    assert watched.outcome(reason) == 1
    await watched.close()


async def test_a_server_that_closes_or_is_not_there_is_its_outcome(server: FakeServer) -> None:
    server.script("PING", "close")
    watched = Cold(server.url)
    await watched.cold.run(0)
    assert watched.outcome("reset") == 1
    await watched.close()
    nobody = Cold("redis://127.0.0.1:1")
    await nobody.cold.run(0)
    assert nobody.outcome("refused") == 1
    nobody.client._not_before = nobody.clock() + 1
    await nobody.cold.run(0)  # held back: no second attempt
    assert nobody.outcome("refused") == 2
    assert nobody.heard.connects == ["refused"]
    await nobody.close()


async def test_it_has_a_deadline(server: FakeServer) -> None:
    server.script("PING", "never")
    watched = Cold(server.url, connection=ConnectionSettings(socket_connect_timeout=0.05))
    await watched.cold.run(0)
    assert watched.outcome("timeout") == 1
    assert watched.breaker.failures == 1
    await watched.close()


async def test_an_open_breaker_rejects_it(server: FakeServer) -> None:
    watched = Cold(server.url, breaker=BreakerSettings(force="open"))
    await watched.cold.run(0)
    assert watched.outcome("rejected") == 1
    assert server.accepted == 0
    await watched.close()


async def test_runs_that_never_started_are_booked(server: FakeServer) -> None:
    watched = Cold(server.url)
    watched.cold.missed(late=1, overrun=2)
    assert (watched.total("cold_connect"), watched.outcome("skipped"), watched.outcome("timeout")) == (3, 1, 2)
    await watched.close()
