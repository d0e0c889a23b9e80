"""The poller measures, isolates, limits and counts collectors. Unsupported commands are sent once."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterable
from types import FrameType
from typing import Any, ClassVar

import pytest

from redis_pulse.client import ConnectLimiter
from redis_pulse.collectors import load
from redis_pulse.collectors.base import Stateless
from redis_pulse.collectors.info import COLLECTOR
from redis_pulse.collectors.support.info_lines import read_info
from redis_pulse.commands import Commands
from redis_pulse.config import BreakerSettings, Options, PollSettings
from redis_pulse.config.option_types import RoleOptions
from redis_pulse.errors import OperationTimeoutError
from redis_pulse.exposition import render_steps
from redis_pulse.metric import (
    CollectorFault,
    CollectorItem,
    MetricSpec,
    OverflowCount,
    SlowCommand,
    SlowCommands,
    UnreadableField,
    gauge,
)
from redis_pulse.polling import ConfiguredCollector, TargetPoller
from redis_pulse.polling.poll_commands import CachingCommands
from redis_pulse.sample_store import SampleStore
from redis_pulse.server_info import Server
from redis_pulse.slices import SharedTurns
from tests.fakes import FakeServer, Reply, bulk, error
from tests.harness import TargetHarness, all_samples, block_event_loop, end_first_zeros, eventually, metric_value

SPEC = gauge("S", "f", "x", "X.")


class FakeCollector(Stateless):
    """A collector for tests: sends one command and yields the given items."""

    name: ClassVar[str] = "probe"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (SPEC,)
    options: ClassVar[type[Options]] = Options
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("memory|doctor",)

    def __init__(self, *items: CollectorItem, fault: Exception | None = None) -> None:
        self.items = items
        self.fault = fault
        self.is_applicable = True

    def applies(self, server: Server) -> bool:
        return self.is_applicable

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
        await commands.execute("MEMORY", "DOCTOR")
        if self.fault:
            raise self.fault
        return self.items


class FakeInfo(FakeCollector):
    """Replaces the collector that finds out what the server is."""

    name: ClassVar[str] = "info"

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
        text = (await commands.execute("INFO")).decode()
        server.update(dict(line.split(":") for line in text.split("\r\n") if ":" in line))
        return self.items


class InfoReader(FakeCollector):
    """Reads INFO in the form that the server supports."""

    name: ClassVar[str] = "info"

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
        await read_info(server, commands)
        return ()


class PollerHarness(TargetHarness):
    """A target with a poller for the given collectors."""

    def __init__(self, url: str, *collectors: FakeCollector, **changes: Any) -> None:
        super().__init__(url, **changes)
        self.store = SampleStore(render_steps, self.clock)
        configured = [ConfiguredCollector(collector, collector.options()) for collector in collectors]
        self.poller = TargetPoller(
            self.client,
            configured,
            self.store,
            self.target_metrics,
            self.observer,
            ping_error=lambda: self.prober.last_failure,
            turns=SharedTurns(),
            clock=self.now,
        )

    def stored(self) -> float | None:
        samples = self.store.fresh("t", "probe")
        return None if samples is None else samples.value(SPEC.full_name)

    def of_collector(self, name: str, collector: str = "probe") -> float:
        return metric_value(self.metrics, f"redis_collector_{name}", collector=collector)

    def series_of(self, name: str, collector: str = "probe") -> list[float]:
        """Return the value of a series in a list, or an empty list if there is no such series."""
        found = (one for one in all_samples(self.metrics) if one.name == f"redis_collector_{name}")
        return [one.value for one in found if one.labels["collector"] == collector]


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


async def test_samples_are_stored_and_the_run_is_reported(server: FakeServer) -> None:
    items = (SPEC.sample(1), UnreadableField("a"), SPEC.sample(2), UnreadableField("b"), OverflowCount("c", 7))
    polled = PollerHarness(server.url, FakeCollector(*items))
    assert not polled.poller.polled
    await polled.poller.poll(0)
    assert polled.poller.polled
    assert polled.stored() == 2
    assert polled.of_collector("success") == 1
    assert polled.series_of("supported") == []
    end_first_zeros(polled.metrics, polled.pages)
    assert metric_value(polled.metrics, "redis_exporter_unreadable_fields_total", collector="probe") == 2
    assert metric_value(polled.metrics, "redis_exporter_overflowed_values_total", collector="probe") == 7
    assert polled.total("probe") == 1
    await polled.close()


async def test_reply_to_info_is_not_kept_after_the_poll(server: FakeServer) -> None:
    """Attack L5: a target kept 12 MB until its next poll. The end of the poll is the last chance to read all fields."""
    server.script("INFO", bulk("redis_version:7.2.4\r\ncluster_enabled:0\r\nlong:" + "x" * 4000))
    polled = PollerHarness(server.url, COLLECTOR)  # type: ignore[arg-type]
    seen: list[int] = []
    polled.observer.polled = lambda: seen.append(len(polled.poller.server.fields))  # type: ignore[method-assign]
    await polled.poller.poll(0)
    assert seen == [3]
    assert polled.poller.server.newest_info is None
    assert polled.poller.server.fields == {"cluster_enabled": "0"}
    await polled.close()


@pytest.mark.parametrize("text", ["ERR unknown command 'MEMORY'", "NOPERM no permissions", "ERR wrong"])
async def test_failed_collector_keeps_no_frames(server: FakeServer, text: str) -> None:
    """The frames of an error refer to all replies of the poll. Only the garbage collector could free them."""
    server.script("MEMORY", error(text))
    polled = PollerHarness(server.url, FakeCollector())
    await polled.poller.poll(0)  # makes the connection
    gc.collect()
    gc.disable()
    try:
        await polled.poller.poll(0)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = [one for one in gc.garbage if isinstance(one, FrameType | CachingCommands)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left == []
    kept = [failed.error for failed in polled.poller.failing.values()]
    kept += [error for _, error, _ in polled.poller._refusals.values()]
    assert kept
    assert [one.__traceback__ for one in kept] == [None] * len(kept)
    await polled.close()


async def test_command_of_several_collectors_is_sent_once_per_poll(server: FakeServer) -> None:
    polled = PollerHarness(server.url, FakeInfo(), FakeInfo())
    await polled.poller.poll(0)
    assert server.count("INFO") == 1
    await polled.poller.poll(0)
    assert server.count("INFO") == 2
    await polled.close()


@pytest.mark.parametrize("blocked", [0, 60])
async def test_poll_that_waits_for_other_connects_is_skipped(server: FakeServer, blocked: float) -> None:
    """This also holds if the event loop is blocked, so that poll and command pass their deadlines at once."""
    polled = PollerHarness(server.url, FakeInfo(SPEC.sample(1)), poll=PollSettings(timeout=0.05))
    polled.client.connect_limiter = ConnectLimiter(1, max_hold_seconds=60)
    async with polled.client.connect_limiter.acquire():
        asyncio.get_running_loop().call_later(0.01, block_event_loop, blocked)
        await polled.poller.poll(0)
    assert polled.observer.runs == [("info", "skipped")]
    assert (polled.failures("skipped", "info"), polled.failures("timeout", "info")) == (1, 0)
    assert metric_value(polled.metrics, "redis_operation_duration_seconds_count", operation="info") == 0
    assert (polled.breaker.failures, polled.breaker.outstanding) == (0, 0)
    polled.poller._poll = PollSettings(timeout=5)  # it connects now, also on a busy machine
    await polled.poller.poll(0)
    assert polled.observer.runs[-1] == ("info", "ok")
    assert polled.total("info") == 2
    await polled.close()


async def test_bug_in_a_collector_affects_no_other(server: FakeServer) -> None:
    polled = PollerHarness(server.url, FakeCollector(fault=KeyError("x")), FakeInfo(SPEC.sample(1)))
    await polled.poller.poll(0)
    assert polled.observer.runs == [("probe", "KeyError"), ("info", "ok")]
    assert polled.failures("other", "probe") == 1
    assert (polled.of_collector("success"), polled.of_collector("success", "info")) == (0, 1)
    await polled.close()


async def test_older_samples_stay_when_a_run_fails(server: FakeServer) -> None:
    """They are served until they are too old. The failed run is reported separately."""
    polled = PollerHarness(server.url, FakeCollector(SPEC.sample(1)))
    await polled.poller.poll(0)
    server.script("MEMORY", error("LOADING loading"))
    await polled.poller.poll(0)
    assert polled.stored() == 1
    assert polled.of_collector("success") == 0
    assert polled.failures("loading", "probe") == 1
    await polled.close()


@pytest.mark.parametrize(
    ("reply", "state"),
    [
        ("ERR unknown command 'MEMORY'", ([1], [0], [])),
        ("NOPERM no permissions to run the 'memory|doctor' command", ([0], [], [1])),
    ],
)
async def test_refused_command_is_sent_once_per_server(
    server: FakeServer, reply: str, state: tuple[list[float], list[float], list[float]]
) -> None:
    """A command that the server lacks is no failure. A command that it denies is one, with its own state."""
    server.script("MEMORY", error(reply))
    server.info = bulk("redis_version:7.0.0\r\nrole:slave\r\nrun_id:a\r\n")
    polled = PollerHarness(server.url, FakeInfo(), FakeCollector(SPEC.sample(1)))
    for _ in range(3):
        await polled.poller.poll(0)
    assert server.count("MEMORY") == 1
    assert tuple(map(polled.series_of, ("success", "supported", "denied"))) == state
    reported = {run for run in polled.observer.runs if run[0] == "probe"}
    assert reported == {("probe", "denied: memory|doctor" if state[2] else "unsupported: other")}
    assert polled.total("probe") == 1
    assert metric_value(polled.metrics, "redis_exporter_last_scrape_error", err="permission") == len(state[2])
    assert [one.commands for one in polled.poller.failing.values()] == [("memory|doctor",)] * len(state[2])
    server.info = bulk("redis_version:7.0.0\r\nrole:master\r\nrun_id:a\r\n")
    server.script("MEMORY", bulk("fine"))
    await polled.poller.poll(0)
    assert polled.stored() == 1
    assert polled.series_of("success") == [1]
    assert (polled.series_of("supported"), polled.series_of("denied")) in (([1], []), ([], [0]))
    assert not polled.poller.failing
    await polled.close()


async def test_cached_refusal_of_another_collector_is_a_denial_too(server: FakeServer) -> None:
    server.script("MEMORY", error("NOPERM no permissions to run the 'memory|doctor' command"))

    class Other(FakeCollector):
        name: ClassVar[str] = "other"

    polled = PollerHarness(server.url, FakeInfo(), FakeCollector(), Other())
    await polled.poller.poll(0)
    assert server.count("MEMORY") == 1
    assert (polled.of_collector("success", "other"), polled.of_collector("denied", "other")) == (0, 1)
    assert (polled.total("probe"), polled.total("other")) == (1, 0)
    await polled.close()


async def test_denied_info_is_sent_in_every_poll(server: FakeServer) -> None:
    """Without INFO the server is unknown. That is a failure, and it ends as soon as the permission is granted."""
    server.script("INFO", error("NOPERM no permissions to run 'info'"), bulk("role:master\r\n"))
    polled = PollerHarness(server.url, FakeInfo(SPEC.sample(1)))
    await polled.poller.poll(0)
    assert polled.failures("permission", "info") == 1
    assert polled.of_collector("success", "info") == 0
    await polled.poller.poll(0)
    assert polled.of_collector("success", "info") == 1
    await polled.close()


async def test_collector_that_does_not_apply_is_not_run_and_loses_its_samples(server: FakeServer) -> None:
    collector = FakeCollector(SPEC.sample(1))
    polled = PollerHarness(server.url, collector)
    await polled.poller.poll(0)
    collector.is_applicable = False
    await polled.poller.poll(0)
    assert polled.store.fresh("t", "probe") is None
    assert polled.total("probe") == 1
    await polled.close()


async def test_run_has_a_deadline(server: FakeServer) -> None:
    server.script("MEMORY", "never")
    polled = PollerHarness(server.url, FakeCollector(), poll=PollSettings(interval=1, timeout=0.05))
    await polled.poller.poll(0)
    assert polled.failures("timeout", "probe") == 1
    name = "redis_operation_duration_seconds_sum"
    assert metric_value(polled.metrics, name, operation="probe") == 0.05
    await polled.close()


async def test_collector_that_never_ends_is_cancelled(server: FakeServer) -> None:
    class Endless(FakeCollector):
        async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
            await asyncio.Event().wait()
            return ()

    polled = PollerHarness(server.url, Endless(), poll=PollSettings(interval=1, timeout=0.05))
    await polled.poller.poll(0)
    assert polled.failures("timeout", "probe") == 1
    await polled.close()


async def test_cancelled_poll_is_counted_with_an_outcome(server: FakeServer) -> None:
    server.script("MEMORY", "never")
    polled = PollerHarness(server.url, FakeCollector())
    poll = asyncio.create_task(polled.poller.poll(0))
    await server.arrived("MEMORY")
    poll.cancel()
    with pytest.raises(asyncio.CancelledError):
        await poll
    assert (polled.total("probe"), polled.failures("other", "probe")) == (1, 1)
    await polled.close()


async def test_polls_that_never_started_are_counted_for_every_collector(server: FakeServer) -> None:
    polled = PollerHarness(server.url, FakeInfo(), FakeCollector())
    polled.poller.missed(late=2, overrun=1)
    for name in ("info", "probe"):
        assert (polled.total(name), polled.failures("skipped", name), polled.failures("timeout", name)) == (3, 2, 1)
    await polled.close()


class FakeExpensive(FakeCollector):
    """A collector that users must switch on."""

    name: ClassVar[str] = "scan"
    default: ClassVar[bool] = False


async def test_incomplete_poll_keeps_samples_of_expensive_collectors(server: FakeServer) -> None:
    """Scrapes decide how often polls come. They must not decide how often a server is scanned."""
    polled = PollerHarness(server.url, FakeCollector(SPEC.sample(1)), FakeExpensive(SPEC.sample(2)))
    await polled.poller.poll(0)
    await polled.poller.poll(0, complete=False)
    await polled.poller.poll(0, complete=False)
    assert (polled.total("probe"), polled.total("scan")) == (3, 1)
    assert polled.store.fresh("t", "scan") is not None
    await polled.close()


def test_list_of_clients_is_expensive() -> None:
    """It is long on a server with many clients, although the collector is on by default."""
    expensive = {name for name, collector in load().items() if ConfiguredCollector(collector, Options()).is_expensive}
    assert {name for name in expensive if load()[name].default} == {"clients"}
    assert {"key_groups", "scripts", "streams", "keys"} <= expensive


async def test_poll_is_counted_and_publishes_its_first_failure(server: FakeServer) -> None:
    """The names are those of redis_exporter, where a poll is a scrape."""
    collector = FakeCollector(SPEC.sample(1.0), fault=ValueError("a bug"))
    polled = PollerHarness(server.url, FakeInfo(), collector)
    await polled.poller.poll(0.0)
    assert metric_value(polled.metrics, "redis_exporter_scrapes_total") == 1
    assert metric_value(polled.metrics, "redis_exporter_last_scrape_error", err="other") == 1
    collector.fault = None
    await polled.poller.poll(0.0)
    assert metric_value(polled.metrics, "redis_exporter_scrapes_total") == 2
    assert metric_value(polled.metrics, "redis_exporter_last_scrape_error", err="other") == 0
    assert metric_value(polled.metrics, "redis_exporter_scrape_duration_seconds_count") == 2
    await polled.close()


async def test_collector_that_works_without_a_denied_command_is_denied_too(server: FakeServer) -> None:
    server.script("MEMORY", error("NOPERM no permissions to run the 'memory|doctor' command"))

    class Undemanding(FakeCollector):
        async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
            await commands.pipeline([("MEMORY", "DOCTOR"), ("TIME",)])
            return self.items

    polled = PollerHarness(server.url, Undemanding(SPEC.sample(1)))
    for _ in range(2):
        await polled.poller.poll(0)
        assert tuple(map(polled.series_of, ("success", "supported", "denied"))) == ([1], [], [1])
        assert polled.observer.runs[-1] == ("probe", "denied: memory|doctor")
    assert polled.stored() == 1
    assert not polled.poller.failing
    await polled.close()


async def test_partial_failure_of_a_collector_is_reported(server: FakeServer) -> None:
    fault = CollectorFault("a.lua", "other", "ERR no")
    polled = PollerHarness(server.url, FakeCollector(SPEC.sample(1), fault))
    await polled.poller.poll(0)
    assert polled.observer.faults == {"probe": [fault]}
    assert polled.observer.polls == 1
    await polled.close()


async def test_slow_commands_are_reported_after_a_successful_run(server: FakeServer) -> None:
    slow = SlowCommands((SlowCommand("keys", 0.83, "cart"),), unread=0)
    polled = PollerHarness(server.url, FakeCollector(SPEC.sample(1), slow))
    await polled.poller.poll(0)
    assert polled.observer.slow == [slow]
    assert polled.stored() == 1
    await polled.close()


async def test_rejected_poll_has_the_reason_of_the_failure_before(server: FakeServer) -> None:
    polled = PollerHarness(server.url, FakeCollector(), breaker=BreakerSettings(failure_threshold=1))
    server.script("MEMORY", error("LOADING loading"))
    for _ in range(2):
        await polled.poller.poll(0)
        assert polled.poller.failing["probe"].error.reason == "loading"
        assert metric_value(polled.metrics, "redis_exporter_last_scrape_error", err="loading") == 1
    assert server.count("MEMORY") == 1
    await polled.close()


async def test_rejected_poll_has_the_reason_of_the_failed_ping() -> None:
    polled = PollerHarness("redis://127.0.0.1:1", FakeCollector(), breaker=BreakerSettings(failure_threshold=1))
    await polled.probe_due()
    await polled.ended(1)
    await polled.poller.poll(0)
    assert polled.poller.failing["probe"].error.reason == "refused"
    assert metric_value(polled.metrics, "redis_exporter_last_scrape_error", err="refused") == 1
    await polled.close()


class KeyOptions(RoleOptions):
    """Options of a collector that reads keys."""


@pytest.mark.parametrize(
    ("roles", "role", "is_grouped", "is_read"),
    [
        ("auto", "slave", False, True),
        ("auto", "slave", True, False),
        ("auto", "master", True, True),
        ("primaries", "slave", False, False),
        ("primaries", "master", False, True),
        ("replicas", "slave", True, True),
        ("replicas", "master", True, False),
        ("all", "slave", True, True),
    ],
)
async def test_keys_are_read_on_servers_of_the_configured_roles(
    server: FakeServer, roles: Any, role: str, is_grouped: bool, is_read: bool
) -> None:
    """In the sums of a cluster, replicas would count every key twice."""
    server.info = bulk(f"redis_version:7.0.0\r\nrole:{role}\r\nrun_id:a\r\n")
    polled = PollerHarness(server.url, FakeInfo(), FakeCollector(SPEC.sample(1)), is_grouped=is_grouped)
    polled.poller._collectors = [
        ConfiguredCollector(FakeInfo(), Options()),
        ConfiguredCollector(FakeCollector(SPEC.sample(1)), KeyOptions(roles=roles)),
    ]
    await polled.poller.poll(0)
    assert (polled.stored() is not None) is is_read
    await polled.close()


@pytest.mark.parametrize("reply", [bulk("# Server\r\n"), bulk(""), error("ERR Invalid section. Try INFO HELP")])
async def test_info_reply_without_fields_is_a_failure(reply: Reply) -> None:
    """Upstash replies to an unknown section with its heading only. The target had no metric and no error either."""
    async with FakeServer() as server:
        server.script("INFO", reply)
        polled = PollerHarness(server.url, COLLECTOR)  # type: ignore[arg-type]
        await polled.poller.poll(0.0)
        assert polled.of_collector("success", "info") == 0
        assert polled.series_of("supported", "info") == []
        await polled.close()


@pytest.mark.parametrize("reply", [b"+redis_version:7.0.0\r\n", b":7\r\n", b"*1\r\n$5\r\nred:1\r\n"])
async def test_info_reply_that_is_not_a_bulk_string_is_refused(reply: bytes) -> None:
    async with FakeServer() as server:
        server.script("INFO", Reply(reply))
        polled = PollerHarness(server.url, COLLECTOR)  # type: ignore[arg-type]
        await polled.poller.poll(0.0)
        error = polled.poller.failing["info"].error
        assert (error.reason, str(error)) == ("protocol", "the reply to INFO is not a bulk string")
        assert polled.poller.server.version == ""
        await polled.close()


async def test_form_of_info_is_chosen_again_after_a_reconnect() -> None:
    """Another server may answer at the same address, and its INFO reply may be too short to show that."""
    async with FakeServer() as server:
        nothing, text = bulk(""), bulk("# Server\r\nredis_version:6.2.6\r\n")
        polled = PollerHarness(server.url, InfoReader())
        server.script("INFO", nothing, text, nothing, text, text)
        for _ in range(4):
            await polled.poller.poll(0)
        await server.drop()
        for _ in range(2):
            await polled.poller.poll(0)
        forms = [command[1] for command in server.received if command[0] == "INFO"]
        first, kept, again = ["everything", "all"] * 2, ["all"] * 2, ["all", "everything"]
        assert forms == first + kept + again
        await polled.close()


async def test_failed_poll_of_many_collectors_is_one_failure_for_the_breaker(server: FakeServer) -> None:
    """Ten failures at once would open the breaker within 6 ms of the start."""
    await server.stop()
    polled = PollerHarness(server.url, *(named(f"c{number}") for number in range(10)))
    await polled.poller.poll(0)
    assert (polled.breaker.failures, polled.breaker.outstanding) == (1, 0)
    assert polled.breaker.state == "closed"
    assert [state for _, state in polled.observer.runs] == ["refused"] * 10
    await polled.close()


async def test_successful_poll_is_one_success_for_the_breaker(server: FakeServer) -> None:
    polled = PollerHarness(server.url, *(named(f"c{number}") for number in range(10)))
    await polled.poller.poll(0)
    assert (polled.breaker.successes, polled.breaker.outstanding) == (1, 0)
    await polled.close()


async def test_poll_under_an_open_breaker_has_the_reason_that_opened_it(server: FakeServer) -> None:
    polled = PollerHarness(server.url, named("c"))
    for _ in range(5):
        permit = polled.breaker.acquire()
        assert permit is not None
        permit.failure(OperationTimeoutError("no answer in time"))
    await polled.poller.poll(0)
    assert polled.observer.runs == [("c", "timeout")]
    assert server.accepted == 0
    assert metric_value(polled.metrics, "redis_exporter_last_scrape_error", err="timeout") == 1
    await polled.close()


def named(name: str) -> FakeCollector:
    collector = FakeCollector(SPEC.sample(1))
    collector.name = name  # type: ignore[misc]
    return collector


async def test_command_without_reply_in_time_is_a_failure_for_the_breaker(server: FakeServer) -> None:
    server.script("MEMORY", "never")
    polled = PollerHarness(server.url, FakeInfo(), named("c"), clock=time.monotonic, poll=PollSettings(timeout=0.1))
    await polled.poller.poll(0)
    assert polled.observer.runs[-1] == ("c", "timeout")
    assert (polled.breaker.failures, polled.breaker.successes, polled.breaker.outstanding) == (1, 0, 0)
    await polled.close()


async def test_deadlines_that_pass_at_once_are_a_failure_for_the_breaker(server: FakeServer) -> None:
    """The deadline of the run then cuts off the command, and INFO alone would make the poll a success."""
    server.script("MEMORY", "never")
    polled = PollerHarness(server.url, FakeInfo(), named("c"), clock=time.monotonic, poll=PollSettings(timeout=30))
    poll = asyncio.create_task(polled.poller.poll(0))
    await eventually(lambda: server.count("MEMORY") == 1)
    block_event_loop(60)
    await poll
    assert polled.observer.runs == [("info", "ok"), ("c", "timeout")]
    assert (polled.breaker.failures, polled.breaker.successes, polled.breaker.outstanding) == (1, 0, 0)
    await polled.close()


async def test_poll_that_was_not_sent_has_no_duration(server: FakeServer) -> None:
    polled = PollerHarness(server.url, named("c"))
    for _ in range(5):
        permit = polled.breaker.acquire()
        assert permit is not None
        permit.failure(OperationTimeoutError("no answer in time"))
    await polled.poller.poll(0)
    assert polled.failures("timeout", "c") == 1
    assert metric_value(polled.metrics, "redis_operation_duration_seconds_count", operation="c") == 0
    await polled.close()


async def test_collector_that_no_longer_runs_leaves_nothing_on_the_page(server: FakeServer) -> None:
    """It was denied on a primary, which then became a replica. The alert would otherwise never end."""
    collector = named("c")
    polled = PollerHarness(server.url, collector)
    server.script("MEMORY", error("NOPERM this user has no permissions to run the 'memory|doctor' command"))
    await polled.poller.poll(0)
    assert metric_value(polled.metrics, "redis_collector_denied", collector="c") == 1
    collector.is_applicable = False
    for _ in range(2):
        await polled.poller.poll(0)
    names = {sample.name for sample in all_samples(polled.metrics) if sample.labels.get("collector") == "c"}
    assert not names & {"redis_collector_denied", "redis_collector_success", "redis_collector_supported"}
    assert polled.observer.runs[-1] == ("c", "skipped for role")
    assert polled.observer.runs.count(("c", "skipped for role")) == 1
    collector.is_applicable = True
    await polled.poller.poll(0)
    assert metric_value(polled.metrics, "redis_collector_success", collector="c") == 0
    await polled.close()


class StubbornCollector(FakeCollector):
    """Swallows the cancellation of its run, as ``asyncio.wait_for`` of Python 3.11 does at times."""

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return self.items
        raise AssertionError("the run was not cancelled")


async def test_stopped_poller_stores_nothing_if_its_run_swallows_the_cancellation(server: FakeServer) -> None:
    """Otherwise the samples of a removed target stay, and those of an old address are shown for the new one."""
    stubborn, other = StubbornCollector(SPEC.sample(1)), FakeInfo(SPEC.sample(2))
    polled = PollerHarness(server.url, stubborn, other)
    run = asyncio.create_task(polled.poller.poll(0.0))
    await asyncio.sleep(0)
    run.cancel()
    polled.poller.stop()
    await asyncio.wait({run})
    assert run.cancelled()
    assert polled.stored() is None
    assert polled.store.age("t", "info") is None
    assert server.received == []


async def test_counters_continue_when_another_node_answers() -> None:
    """Prometheus would take each fall for a restart."""
    async with FakeServer() as server:
        replies = [
            bulk(f"# Server\r\nredis_version:7\r\nrun_id:{node}\r\n# Stats\r\ntotal_commands_processed:{count}\r\n")
            for node, count in [("a", 1000), ("b", 50), ("a", 1010), ("b", 57), ("a", 1012), ("b", 60)]
        ]
        server.script("INFO", *replies)
        polled = PollerHarness(server.url, COLLECTOR)  # type: ignore[arg-type]
        seen = []
        for _ in replies:
            await polled.poller.poll(0)
            samples = polled.store.fresh("t", "info")
            assert samples is not None
            seen.append(samples.value("redis_commands_processed_total"))
        assert seen == [1000, 50, 1010, 57, 57, 60]
        await polled.close()
