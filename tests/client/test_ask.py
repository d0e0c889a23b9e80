"""Questions about a stall go past polls, the breaker and failed pings, and leave no connection behind."""

import asyncio

import pytest

from redis_pulse import errors
from redis_pulse.commands import Args
from tests.client.helpers import request
from tests.fakes import FakeServer
from tests.harness import TargetHarness, eventually

QUESTIONS: list[Args] = [("INFO",), ("PING",)]


async def test_question_has_its_own_connection_while_a_poll_waits(server: FakeServer) -> None:
    harness = TargetHarness(server.url)
    server.script("DBSIZE", "never")
    poll = asyncio.create_task(request(harness, "DBSIZE", within=30))
    await server.arrived("DBSIZE")
    assert harness.client.is_busy
    assert len(await harness.client.ask(QUESTIONS, 5.0)) == 2
    assert not poll.done()
    assert server.accepted == 2
    poll.cancel()
    await asyncio.gather(poll, return_exceptions=True)
    assert not harness.client.is_busy
    await harness.close()


async def test_surplus_connection_is_closed_by_the_next_question(server: FakeServer) -> None:
    harness = TargetHarness(server.url)
    server.hold()
    both = asyncio.gather(request(harness, "INFO", within=30), harness.client.ask(QUESTIONS, 5.0))
    await eventually(lambda: server.accepted == 2)
    server.release()
    await both
    await harness.client.ask(QUESTIONS, 5.0)
    await eventually(lambda: server.connected == 1)
    await harness.close()


async def test_open_breaker_does_not_stop_a_question(server: FakeServer) -> None:
    """The breaker protects a server that is slow. One enquiry must tell why it was slow."""
    harness = TargetHarness(server.url)
    await harness.client.ask(QUESTIONS, 5.0)
    for _ in range(30):
        with harness.client.start_call() as call:
            call.record_error(errors.OperationTimeoutError("no answer in time"))
    assert harness.breaker.state == "open"
    assert len(await harness.client.ask(QUESTIONS, 5.0)) == 2
    await harness.close()


async def test_question_has_a_deadline_of_its_own(server: FakeServer) -> None:
    harness = TargetHarness(server.url)
    server.script("INFO", "never")
    with pytest.raises(errors.OperationTimeoutError):
        await harness.client.ask(QUESTIONS, 0.05)
    assert harness.breaker.failures == 0
    await harness.close()


async def test_replies_of_polls_are_reported(server: FakeServer) -> None:
    harness = TargetHarness(server.url)
    reply = await request(harness, "INFO")
    assert harness.observer.replies == [(("INFO",), reply)]
    await harness.close()
