"""A bug of the exporter makes its probes fail and is raised. No connection stays open, and no probe without an end."""

import asyncio

import pytest

from redis_pulse.client import Received
from redis_pulse.probe.session import ProbeSession
from tests.fakes import FakeServer, Reply
from tests.harness import TargetHarness, eventually
from tests.probe.test_kernel_timestamps import harness_with_manual_connection
from tests.probe.test_prober import PATIENT


async def test_bug_while_reading_ends_all_probes_and_is_raised() -> None:
    watched, connection = await harness_with_manual_connection()

    def fault() -> Received | None:
        raise RuntimeError("a fault")

    connection.receive = fault  # type: ignore[method-assign]
    session = watched.prober._session
    assert session is not None
    with pytest.raises(RuntimeError):
        session.read()
    assert watched.observer.reasons == ["other"]
    assert watched.prober.balanced
    assert watched.prober._session is None
    session.read()  # a further call finds nothing to do
    await watched.close()


async def test_bug_while_connecting_ends_waiting_probes_and_is_raised() -> None:
    watched = TargetHarness("redis://127.0.0.1:1", breaker=PATIENT)

    async def fault(_on_phase: object, **_options: object) -> None:
        raise RuntimeError("a fault")

    watched.client.connect_probe = fault  # type: ignore[method-assign,assignment]
    watched.prober.probe_due(watched.clock())
    session = watched.prober._session
    assert isinstance(session, ProbeSession)
    with pytest.raises(RuntimeError):
        await session._task
    assert watched.observer.reasons == ["other"]
    assert watched.prober.in_flight == 0
    await watched.close()


async def test_reply_without_a_ping_ends_the_connection() -> None:
    """Replies and pings are out of step: each further reply would be taken for the reply to another ping."""
    async with FakeServer() as server:
        server.script("PING", Reply(b"+PONG\r\n+PONG\r\n"), Reply(b"+PONG\r\n"))
        watched = TargetHarness(server.url, breaker=PATIENT)
        await watched.probe_due()
        await watched.ended(1)
        await eventually(lambda: watched.prober._session is None)
        await watched.probe_due()
        await watched.ended(2)
        assert watched.observer.reasons == ["ok", "ok"]
        assert server.accepted == 2
        await watched.close()


async def test_stopping_while_connecting_leaves_nothing_behind() -> None:
    async with FakeServer() as server:
        server.script("AUTH", "never")
        watched = TargetHarness(server.url, password="x", breaker=PATIENT)
        await watched.probe_due()
        await server.arrived("AUTH")
        await watched.close()
        await eventually(lambda: server.connected == 0)
        assert watched.breaker.releases == 1
        assert watched.observer.connects == []
        await asyncio.sleep(0)
