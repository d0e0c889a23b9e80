"""The connection for pings is replaced between two pings, and no ping is lost."""

import asyncio
import math
from collections.abc import AsyncIterator
from time import time

import pytest

from redis_pulse.client import TargetClient
from redis_pulse.config import AwsSettings, CredentialsSettings
from redis_pulse.probe import Prober
from redis_pulse.probe.spare import MAX_OVERLAP
from redis_pulse.tokens import TokenRegistry
from tests.fakes import FakeServer, error
from tests.harness import TargetHarness, eventually
from tests.tokens.test_renewal import Source

AWS = CredentialsSettings(aws=AwsSettings(name="cache", user="me", region="eu-west-1"))
#: Seconds after which a connection to AWS must be replaced.
LONG = 11 * 3600.0


class Watched:
    """A target whose login expires, and the server behind it."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.source = Source()
        self.source.now = time()
        harness = self.harness = TargetHarness(server.url, token_source=AWS)
        harness.client = TargetClient(
            harness.target,
            harness.breaker,
            harness.observer,
            clock=harness.clock,
            tokens=TokenRegistry(lambda _settings: self.source),
        )
        clock = harness.prober._wall_clock
        harness.prober = Prober(
            harness.client, harness.breaker, harness.target_metrics, harness.observer, wall_clock=clock
        )

    async def ping(self, count: int = 1) -> None:
        """Send pings one second apart, and wait for each reply."""
        for _ in range(count):
            self.harness.clock.advance(1)
            await self.harness.probe_due()
            await eventually(lambda: not self.harness.prober.in_flight)

    async def renew(self) -> None:
        shared = self.harness.client.credentials.shared
        assert shared is not None
        shared._start()
        assert shared._task is not None
        await asyncio.wait([shared._task])

    @property
    def is_ready(self) -> bool:
        return self.harness.prober._spare.is_ready


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    async with FakeServer() as server:
        watched = Watched(server)
        await watched.ping(3)
        yield watched
        await watched.harness.close()


async def test_connection_is_replaced_between_two_pings(watched: Watched) -> None:
    await watched.renew()
    await watched.ping(3)
    assert watched.server.accepted == 1
    watched.harness.clock.advance(LONG)
    await watched.ping()  # it begins the spare connection, and is answered on the old one
    await eventually(lambda: watched.is_ready)
    assert watched.server.connected == 2
    await watched.ping(3)
    await eventually(lambda: watched.server.connected == 1)
    assert watched.server.accepted == 2
    assert watched.harness.observer.reasons == ["ok"] * 10
    assert watched.harness.prober.balanced
    auth = [command for command in watched.server.received if command[0] == "AUTH"]
    assert auth == [("AUTH", "me", "p1"), ("AUTH", "me", "p2")]


async def test_connection_stays_while_there_is_no_newer_token(watched: Watched) -> None:
    watched.harness.clock.advance(LONG)
    await watched.ping(3)
    assert watched.server.accepted == 1


async def test_pings_in_flight_are_answered_on_the_old_connection(watched: Watched) -> None:
    await watched.renew()
    watched.harness.clock.advance(LONG)
    await watched.ping()
    await eventually(lambda: watched.is_ready)
    watched.server.hold()
    session = watched.harness.prober._session
    watched.harness.prober._spare._ready_since = -1e9  # so that it would hold pings back, if replies came
    watched.harness.prober._received_at = watched.harness.clock() - 100
    await watched.harness.probe_due()
    assert watched.harness.prober._session is not session, "nothing was in flight"
    await watched.harness.probe_due()
    assert watched.harness.prober.in_flight == 2
    watched.server.release()
    await eventually(lambda: not watched.harness.prober.in_flight)
    assert set(watched.harness.observer.reasons) == {"ok"}


async def test_crossing_pings_are_held_back_for_one_round_trip(watched: Watched) -> None:
    """A round trip may be longer than the interval. Then a ping is always in flight."""
    harness, prober, server = watched.harness, watched.harness.prober, watched.server
    await watched.renew()
    harness.clock.advance(LONG)
    await watched.ping()
    await eventually(lambda: watched.is_ready)
    spare, old = prober._spare, prober._session
    ready_since, spare._ready_since = spare._ready_since, math.inf
    server.hold()
    harness.clock.advance(1)
    await harness.probe_due()  # in flight on the old connection
    spare._ready_since = ready_since - MAX_OVERLAP
    prober._received_at = harness.clock()
    await harness.probe_due()
    assert len(prober._waiting) == 1
    server.release()
    await eventually(lambda: not prober.in_flight)
    assert prober._session is not old
    assert set(harness.observer.reasons) == {"ok"}
    assert prober.balanced


async def test_failed_spare_connection_costs_no_ping_and_is_tried_again(watched: Watched) -> None:
    await watched.renew()
    watched.harness.clock.advance(LONG)
    watched.server.script("AUTH", error("ERR (ERR_IAM_OTHER) Memorystore IAM authentication backend error."))
    await watched.ping()
    await eventually(lambda: watched.server.accepted == 2)
    await eventually(lambda: watched.server.connected == 1)
    await watched.ping(2)
    watched.server._scripts.clear()
    watched.harness.clock.advance(60)
    await watched.ping()
    await eventually(lambda: watched.is_ready)
    await watched.ping()
    assert set(watched.harness.observer.reasons) == {"ok"}
    assert watched.harness.observer.connects.count("overloaded") >= 1


async def test_lost_connection_drops_a_spare_one_that_is_ready(watched: Watched) -> None:
    """Both may be dead. The next connection is a new one."""
    await watched.renew()
    watched.harness.clock.advance(LONG)
    await watched.ping()
    await eventually(lambda: watched.is_ready)
    await watched.server.drop()
    await eventually(lambda: watched.harness.prober._session is None)
    assert not watched.is_ready
    await watched.ping(2)
    assert set(watched.harness.observer.reasons) == {"ok"}
    await eventually(lambda: watched.server.connected == 1)


async def test_stop_closes_the_spare_connection_too(watched: Watched) -> None:
    await watched.renew()
    watched.harness.clock.advance(LONG)
    await watched.ping()
    await eventually(lambda: watched.is_ready)
    await watched.harness.prober.stop()
    await eventually(lambda: watched.server.connected == 0)
