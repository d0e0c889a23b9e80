"""A fault of ours costs its slots a failure and says so; it never leaves a connection open or a slot without an end."""

import asyncio

import pytest

from redis_pulse.client import Received
from redis_pulse.probe.session import ProbeSession
from tests.fakes import FakeServer, Reply
from tests.harness import TargetHarness, eventually
from tests.probe.test_kernel_timestamps import by_hand
from tests.probe.test_prober import PATIENT


async def test_a_fault_of_ours_while_reading_ends_all_slots_and_is_raised() -> None:
    watched, wire = await by_hand()

    def fault() -> Received | None:
        raise RuntimeError("a fault")

    wire.receive = fault  # type: ignore[method-assign]
    session = watched.prober._session
    assert session is not None
    with pytest.raises(RuntimeError):
        session.read()
    assert watched.heard.reasons == ["other"]
    assert watched.prober.balanced
    assert watched.prober._session is None
    session.read()  # a reader that is called once more finds nothing to do
    await watched.close()


async def test_a_fault_of_ours_while_connecting_ends_what_waits_and_is_raised() -> None:
    watched = TargetHarness("redis://127.0.0.1:1", breaker=PATIENT)

    async def fault(_on_phase: object) -> None:
        raise RuntimeError("a fault")

    watched.client.connect_probe = fault  # type: ignore[method-assign,assignment]
    watched.prober.probe_due(watched.clock())
    session = watched.prober._session
    assert isinstance(session, ProbeSession)
    with pytest.raises(RuntimeError):
        await session._task
    assert watched.heard.reasons == ["other"]
    assert watched.prober.in_flight == 0
    await watched.close()


async def test_a_reply_that_nobody_asked_for_ends_the_connection() -> None:
    """We are out of step: every further reply would be taken for another ping's."""
    async with FakeServer() as server:
        server.script("PING", Reply(b"+PONG\r\n+PONG\r\n"), Reply(b"+PONG\r\n"))
        watched = TargetHarness(server.url, breaker=PATIENT)
        await watched.probe_due()
        await watched.ended(1)
        await eventually(lambda: watched.prober._session is None)
        await watched.probe_due()
        await watched.ended(2)
        assert watched.heard.reasons == ["ok", "ok"]
        assert server.accepted == 2
        await watched.close()


async def test_stopping_while_it_connects_leaves_nothing_behind() -> None:
    async with FakeServer() as server:
        server.script("AUTH", "never")
        watched = TargetHarness(server.url, password="x", breaker=PATIENT)
        await watched.probe_due()
        await server.arrived("AUTH")
        await watched.close()
        await eventually(lambda: server.connected == 0)
        assert watched.breaker.releases == 1
        assert watched.heard.connects == []
        await asyncio.sleep(0)
