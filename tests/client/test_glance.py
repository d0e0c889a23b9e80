"""A glance asks on an idle connection without a task. What is not usual is left to a task, or ends the connection."""

import asyncio
from typing import Any

import pytest

from redis_pulse.commands import Args
from redis_pulse.errors import TargetError
from tests.client.helpers import request
from tests.fakes import FakeServer, Reply, bulk
from tests.harness import TargetHarness, eventually

QUESTIONS: list[Args] = [("INFO",), ("SLOWLOG", "GET", 1)]


class Glancer:
    """A target whose server has been polled once, and the ends of all glances at it."""

    def __init__(self, server: FakeServer, **changes: Any) -> None:
        self.harness = TargetHarness(server.url, **changes)
        self.ended: list[list[Any] | None] = []
        server.script("SLOWLOG", bulk("x"))

    def glance(self, within: float = 5.0) -> bool:
        return self.harness.client.glance(QUESTIONS, within, self.ended.append)

    async def end(self) -> list[Any] | None:
        count = len(self.ended)
        assert self.glance()
        await eventually(lambda: len(self.ended) > count)
        return self.ended[-1]


@pytest.fixture
async def glancer(server: FakeServer) -> Any:
    glancer = Glancer(server)
    await request(glancer.harness, "INFO")
    yield glancer
    await glancer.harness.close()


async def test_glance_uses_the_idle_connection(glancer: Glancer, server: FakeServer) -> None:
    for _ in range(3):
        assert glancer.glance()
        assert glancer.harness.client.is_busy
        assert not glancer.glance()
        await eventually(lambda: not glancer.harness.client.is_busy)
    assert glancer.ended == [[server.info.data.split(b"\r\n", 1)[1][:-2], b"x"]] * 3
    assert server.accepted == 1


async def test_glance_needs_a_connection(server: FakeServer) -> None:
    glancer = Glancer(server)
    assert not glancer.glance()
    await request(glancer.harness, "INFO")
    await server.drop()
    await eventually(lambda: not glancer.glance())
    await glancer.harness.close()


async def test_error_reply_is_a_value(glancer: Glancer, server: FakeServer) -> None:
    server.script("SLOWLOG", Reply(b"-ERR no\r\n"))
    ended = await glancer.end()
    assert ended is not None
    assert isinstance(ended[1], TargetError)
    assert server.connected == 1


async def test_silent_server_ends_a_glance_and_its_connection(glancer: Glancer, server: FakeServer) -> None:
    """A late reply must not be taken for the reply to another command."""
    server.script("SLOWLOG", "never")
    assert glancer.glance(0.05)
    await eventually(lambda: glancer.ended == [None])
    await eventually(lambda: server.connected == 0)
    assert not glancer.glance()
    server.script("SLOWLOG", bulk("x"))
    assert await request(glancer.harness, "SLOWLOG", "GET") == b"x"
    assert await glancer.end() is not None
    assert glancer.harness.breaker.failures == 0


@pytest.mark.parametrize("act", ["close", "reset"])
async def test_lost_connection_ends_a_glance(glancer: Glancer, server: FakeServer, act: Any) -> None:
    server.script("SLOWLOG", act)
    assert await glancer.end() is None
    assert await request(glancer.harness, "INFO") is not None
    assert glancer.harness.client.connects == 2


async def test_reply_that_hiredis_must_not_read_is_left_to_a_task(glancer: Glancer, server: FakeServer) -> None:
    server.info = bulk("x" * 100_000)
    assert await glancer.end() is None
    assert await request(glancer.harness, "INFO") == b"x" * 100_000
    assert not glancer.glance()
    assert len((await glancer.harness.client.ask(QUESTIONS, 5.0))[0]) == 100_000


async def test_connection_is_closed_when_the_server_forgot_the_login(glancer: Glancer, server: FakeServer) -> None:
    server.script("SLOWLOG", Reply(b"-NOAUTH Authentication required.\r\n"))
    ended = await glancer.end()
    assert ended is not None
    assert isinstance(ended[1], TargetError)
    await eventually(lambda: server.connected == 0)


async def test_surplus_connection_is_left_to_a_task(glancer: Glancer, server: FakeServer) -> None:
    server.hold()
    both = asyncio.gather(*[request(glancer.harness, "INFO", within=30) for _ in range(2)])
    await eventually(lambda: server.accepted == 2)
    server.release()
    await both
    assert not glancer.glance()
    await glancer.harness.client.ask(QUESTIONS, 5.0)
    assert await glancer.end() is not None


async def test_poll_gets_the_connection_after_a_glance(server: FakeServer) -> None:
    glancer = Glancer(server, connection={"max_connections": 1})
    await request(glancer.harness, "INFO")
    server.hold()
    assert glancer.glance()
    poll = asyncio.create_task(request(glancer.harness, "INFO", within=30))
    await asyncio.sleep(0)
    server.release()
    await poll
    assert len(glancer.ended) == server.accepted == 1
    await glancer.harness.close()


async def test_glance_is_over_when_the_client_closes(glancer: Glancer, server: FakeServer) -> None:
    server.script("SLOWLOG", "never")
    assert glancer.glance()
    await server.arrived("SLOWLOG")
    await glancer.harness.client.aclose()
    await eventually(lambda: glancer.ended == [None])
