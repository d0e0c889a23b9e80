"""A poll sends what its collectors announce at once. Each command still fails for its own collector only."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, ClassVar

import pytest

from redis_pulse.collectors.base import Stateless
from redis_pulse.commands import Args, Commands
from redis_pulse.config import ConnectionSettings, Options, PollSettings
from redis_pulse.exposition import render_steps
from redis_pulse.metric import CollectorItem, MetricSpec, gauge
from redis_pulse.polling import ConfiguredCollector, TargetPoller
from redis_pulse.sample_store import SampleStore
from redis_pulse.server_info import Server
from redis_pulse.slices import SharedTurns
from tests.fakes import FakeServer, Reply, error
from tests.harness import TargetHarness, metric_value

SPEC = gauge("S", "f", "x", "X.")


class Announcing(Stateless):
    """Announces some commands, and sends them one by one."""

    metrics: ClassVar[tuple[MetricSpec, ...]] = (SPEC,)
    options: ClassVar[type[Options]] = Options
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *words: str) -> None:
        self.words = words
        self.name = words[0].lower()

    def applies(self, server: Server) -> bool:
        return True

    def requests(self, server: Server, options: Any) -> Sequence[Args]:
        return [(word,) for word in self.words]

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
        for word in self.words:
            await commands.execute(word)
        return [SPEC.sample(1.0)]


class Harness(TargetHarness):
    """A target whose collectors announce what they send."""

    def __init__(self, url: str, *collectors: Announcing, **changes: Any) -> None:
        super().__init__(url, **changes)
        self.poller = TargetPoller(
            self.client,
            [ConfiguredCollector(one, one.options()) for one in collectors],  # type: ignore[arg-type]
            SampleStore(render_steps, self.clock),
            self.target_metrics,
            self.observer,
            ping_error=lambda: None,
            turns=SharedTurns(),
            clock=self.clock,
        )

    async def poll(self) -> dict[str, str]:
        self.observer.runs.clear()
        await self.poller.poll(0)
        return dict(self.observer.runs)

    def seconds(self, collector: str) -> float:
        return metric_value(self.metrics, "redis_collector_duration_seconds", collector=collector)


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


async def test_commands_of_all_collectors_arrive_before_the_first_reply(server: FakeServer) -> None:
    polled = Harness(server.url, Announcing("A", "B"), Announcing("C", "A"))
    server.hold()
    server.script("C", Reply(b"+x\r\n"))
    poll = asyncio.create_task(polled.poll())
    await server.arrived("C")
    assert server.received == [("A",), ("B",), ("C",)]
    server.release()
    assert await poll == {"a": "ok", "c": "ok"}
    assert (polled.total("a"), polled.total("c")) == (1, 1)
    assert [args for args, _ in polled.observer.replies] == [("A",), ("B",), ("C",)]
    assert (polled.breaker.successes, polled.breaker.failures) == (1, 0)
    await polled.close()


async def test_unknown_command_costs_only_its_collector_and_is_sent_once(server: FakeServer) -> None:
    server.script("B", error("ERR unknown command 'B'"))
    polled = Harness(server.url, Announcing("A"), Announcing("B"), Announcing("C"))
    for _ in range(2):
        found = await polled.poll()
        assert (found["a"], found["b"], found["c"]) == ("ok", "unsupported: other", "ok")
    assert (server.count("A"), server.count("B")) == (2, 1)
    assert polled.total("b") == 1
    await polled.close()


async def test_collectors_with_a_reply_succeed_and_the_others_time_out(server: FakeServer) -> None:
    server.script("B", "never")
    polled = Harness(
        server.url,
        *(Announcing("A"), Announcing("B"), Announcing("C")),
        poll=PollSettings(timeout=0.2, retries=0),
    )
    assert await polled.poll() == {"a": "ok", "b": "timeout", "c": "timeout"}
    assert [polled.failures("timeout", name) for name in "abc"] == [0, 1, 1]
    assert (polled.breaker.failures, polled.breaker.outstanding) == (1, 0)
    # The command that hung is the last one now.
    assert await polled.poll() == {"a": "ok", "b": "timeout", "c": "ok"}
    server.script("B", Reply(b"+x\r\n"))
    assert await polled.poll() == {"a": "ok", "b": "ok", "c": "ok"}
    await polled.close()


@pytest.mark.parametrize(
    ("response", "reason"),
    [(Reply(b"$1999999999\r\n"), "too_large"), (Reply(b"?\r\n"), "protocol"), ("reset", "reset")],
)
async def test_reply_that_costs_the_connection_costs_only_its_collector(
    server: FakeServer, response: Any, reason: str
) -> None:
    server.script("B", response)
    polled = Harness(server.url, Announcing("A"), Announcing("B"), Announcing("C"))
    assert await polled.poll() == {"a": "ok", "b": reason, "c": "ok"}
    assert server.count("A") == 1
    await polled.close()


async def test_silent_server_costs_one_timeout(server: FakeServer) -> None:
    server.hold()
    polled = Harness(
        server.url,
        *(Announcing("A"), Announcing("B"), Announcing("C")),
        poll=PollSettings(timeout=5),
        connection=ConnectionSettings(socket_timeout=0.1),
    )
    assert await polled.poll() == {"a": "timeout", "b": "timeout", "c": "timeout"}
    assert server.received == [("A",), ("B",), ("C",)]
    await polled.close()


async def test_duration_of_a_collector_includes_the_time_of_its_replies(server: FakeServer) -> None:
    polled = Harness(server.url, Announcing("A"), Announcing("B"))
    await polled.poll()  # the connection is made, and has its name
    polled.observer.replies.clear()
    mapped = polled.client._mapped

    def slow(reply: Any) -> Any:
        polled.clock.advance(2.0 if len(polled.observer.replies) == 0 else 0.0)
        return mapped(reply)

    polled.client._mapped = slow  # type: ignore[method-assign]
    await polled.poll()
    assert (polled.seconds("a"), polled.seconds("b")) == (2.0, 2.0)
    await polled.close()
