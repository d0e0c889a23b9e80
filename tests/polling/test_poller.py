"""The runner times, isolates, bounds and counts collectors; what a server cannot do is asked once."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any, ClassVar

import pytest

from redis_pulse.client import ConnectLimiter
from redis_pulse.collectors.base import Stateless
from redis_pulse.collectors.info import COLLECTOR
from redis_pulse.collectors.support.info_lines import read_info
from redis_pulse.commands import Commands
from redis_pulse.config import BreakerSettings, Options, PollSettings
from redis_pulse.config.option_types import RoleOptions
from redis_pulse.errors import OperationTimeoutError
from redis_pulse.exposition import render
from redis_pulse.metric import CollectorFault, CollectorItem, MetricSpec, OverflowCount, UnreadableField, gauge
from redis_pulse.polling import ConfiguredCollector, TargetPoller
from redis_pulse.sample_store import SampleStore
from redis_pulse.server_info import Server
from tests.fakes import FakeServer, Reply, bulk, error
from tests.harness import TargetHarness, all_samples, metric_value

ROW = gauge("S", "f", "x", "X.")


class Probe(Stateless):
    """A collector for tests: sends one command and yields what it is told to."""

    name: ClassVar[str] = "probe"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (ROW,)
    options: ClassVar[type[Options]] = Options
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("memory|doctor",)

    def __init__(self, *found: CollectorItem, fault: Exception | None = None) -> None:
        self.found = found
        self.fault = fault
        self.wanted = True

    def applies(self, server: Server) -> bool:
        return self.wanted

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
        await commands.execute("MEMORY", "DOCTOR")
        if self.fault:
            raise self.fault
        return self.found


class Info(Probe):
    """Stands for the collector by which a server is known."""

    name: ClassVar[str] = "info"

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
        text = (await commands.execute("INFO")).decode()
        server.update(dict(line.split(":") for line in text.split("\r\n") if ":" in line))
        return self.found


class Reader(Probe):
    """Reads INFO in the form that the server knows."""

    name: ClassVar[str] = "info"

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
        await read_info(server, commands)
        return ()


class Polled(TargetHarness):
    """A target with a sampler for the given collectors."""

    def __init__(self, url: str, *collectors: Probe, **changes: Any) -> None:
        super().__init__(url, **changes)
        self.store = SampleStore(render, self.clock)
        parts = [ConfiguredCollector(collector, Options()) for collector in collectors]
        self.sampler = TargetPoller(
            self.client,
            parts,
            self.store,
            self.of_target,
            self.heard,
            trouble=lambda: self.prober.last_failure,
            clock=self.clock,
        )

    def found(self) -> float | None:
        found = self.store.fresh("t", "probe")
        return None if found is None else found.value(ROW.full_name)

    def of_collector(self, name: str, collector: str = "probe") -> float:
        return metric_value(self.instruments, f"redis_collector_{name}", collector=collector)


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


async def test_what_a_collector_found_is_stored_and_its_run_is_reported(server: FakeServer) -> None:
    found = (ROW.sample(1), UnreadableField("a"), ROW.sample(2), UnreadableField("b"), OverflowCount("c", 7))
    polled = Polled(server.url, Probe(*found))
    assert not polled.sampler.polled
    await polled.sampler.poll(0)
    assert polled.sampler.polled
    assert polled.found() == 2
    assert (polled.of_collector("success"), polled.of_collector("supported")) == (1, 1)
    assert metric_value(polled.instruments, "redis_exporter_unreadable_fields_total", collector="probe") == 2
    assert metric_value(polled.instruments, "redis_exporter_overflowed_values_total", collector="probe") == 7
    assert polled.total("probe") == 1
    await polled.close()


async def test_what_several_collectors_ask_is_sent_once_a_poll(server: FakeServer) -> None:
    polled = Polled(server.url, Info(), Info())
    await polled.sampler.poll(0)
    assert server.count("INFO") == 1
    await polled.sampler.poll(0)
    assert server.count("INFO") == 2
    await polled.close()


@pytest.mark.parametrize("blocked", [0.0, 0.2])
async def test_a_poll_that_waited_for_others_to_connect_is_skipped_and_not_the_targets_fault(
    server: FakeServer, blocked: float
) -> None:
    """Also when our loop was blocked, so that the deadlines of the poll and of its command are found over at once."""
    polled = Polled(server.url, Info(ROW.sample(1)), poll=PollSettings(timeout=0.05))
    polled.client.connect_limiter = ConnectLimiter(1, longest=60)
    async with polled.client.connect_limiter.acquire():
        asyncio.get_running_loop().call_later(0.01, time.sleep, blocked)
        await polled.sampler.poll(0)
    assert polled.heard.runs == [("info", "skipped")]
    assert (polled.failures("skipped", "info"), polled.failures("timeout", "info")) == (1, 0)
    assert metric_value(polled.instruments, "redis_operation_duration_seconds_count", operation="info") == 0
    assert (polled.breaker.failures, polled.breaker.outstanding) == (0, 0)
    await polled.sampler.poll(0)
    assert polled.heard.runs[-1] == ("info", "ok")
    assert polled.total("info") == 2
    await polled.close()


async def test_a_collector_at_fault_harms_no_other(server: FakeServer) -> None:
    polled = Polled(server.url, Probe(fault=KeyError("x")), Info(ROW.sample(1)))
    await polled.sampler.poll(0)
    assert polled.heard.runs == [("probe", "KeyError"), ("info", "ok")]
    assert polled.failures("other", "probe") == 1
    assert (polled.of_collector("success"), polled.of_collector("success", "info")) == (0, 1)
    await polled.close()


async def test_samples_of_before_stay_when_a_run_fails(server: FakeServer) -> None:
    """They are served until they are too old; that the run failed is said apart."""
    polled = Polled(server.url, Probe(ROW.sample(1)))
    await polled.sampler.poll(0)
    server.script("MEMORY", error("LOADING loading"))
    await polled.sampler.poll(0)
    assert polled.found() == 1
    assert polled.of_collector("success") == 0
    assert polled.failures("loading", "probe") == 1
    await polled.close()


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("ERR unknown command 'MEMORY'", (1, 0, 0)),
        ("NOPERM no permissions to run the 'memory|doctor' command", (0, 1, 1)),
    ],
)
async def test_what_a_server_cannot_do_is_asked_once_until_it_is_another(
    server: FakeServer, answer: str, state: tuple[float, float, float]
) -> None:
    """What it lacks is no failure. What it denies is one, and has a state of its own."""
    server.script("MEMORY", error(answer))
    server.info = bulk("redis_version:7.0.0\r\nrole:slave\r\nrun_id:a\r\n")
    polled = Polled(server.url, Info(), Probe(ROW.sample(1)))
    for _ in range(3):
        await polled.sampler.poll(0)
    assert server.count("MEMORY") == 1
    assert tuple(map(polled.of_collector, ("success", "supported", "denied"))) == state
    said = {run for run in polled.heard.runs if run[0] == "probe"}
    assert said == {("probe", "denied: memory|doctor" if state[2] else "unsupported: other")}
    assert polled.total("probe") == 1
    assert metric_value(polled.instruments, "redis_exporter_last_scrape_error", err="permission") == state[2]
    assert [one.commands for one in polled.sampler.failing.values()] == [("memory|doctor",)] * int(state[2])
    server.info = bulk("redis_version:7.0.0\r\nrole:master\r\nrun_id:a\r\n")
    server.script("MEMORY", bulk("fine"))
    await polled.sampler.poll(0)
    assert polled.found() == 1
    assert tuple(map(polled.of_collector, ("success", "supported", "denied"))) == (1, 1, 0)
    assert not polled.sampler.failing
    await polled.close()


async def test_a_collector_refused_through_the_refusal_of_another_says_so_too(server: FakeServer) -> None:
    server.script("MEMORY", error("NOPERM no permissions to run the 'memory|doctor' command"))

    class Other(Probe):
        name: ClassVar[str] = "other"

    polled = Polled(server.url, Info(), Probe(), Other())
    await polled.sampler.poll(0)
    assert server.count("MEMORY") == 1
    assert (polled.of_collector("success", "other"), polled.of_collector("denied", "other")) == (0, 1)
    assert (polled.total("probe"), polled.total("other")) == (1, 0)
    await polled.close()


async def test_info_is_asked_again_also_when_it_was_denied(server: FakeServer) -> None:
    """Without it we do not know the server: that is a failure, and it ends as soon as the permission is given."""
    server.script("INFO", error("NOPERM no permissions to run 'info'"), bulk("role:master\r\n"))
    polled = Polled(server.url, Info(ROW.sample(1)))
    await polled.sampler.poll(0)
    assert polled.failures("permission", "info") == 1
    assert polled.of_collector("success", "info") == 0
    await polled.sampler.poll(0)
    assert polled.of_collector("success", "info") == 1
    await polled.close()


async def test_a_collector_that_does_not_apply_is_not_run_and_its_samples_go(server: FakeServer) -> None:
    probe = Probe(ROW.sample(1))
    polled = Polled(server.url, probe)
    await polled.sampler.poll(0)
    probe.wanted = False
    await polled.sampler.poll(0)
    assert polled.store.fresh("t", "probe") is None
    assert polled.total("probe") == 1
    await polled.close()


async def test_a_run_has_a_deadline(server: FakeServer) -> None:
    server.script("MEMORY", "never")
    polled = Polled(server.url, Probe(), poll=PollSettings(interval=1, timeout=0.05))
    await polled.sampler.poll(0)
    assert polled.failures("timeout", "probe") == 1
    name = "redis_operation_duration_seconds_sum"
    assert metric_value(polled.instruments, name, operation="probe") == 0.05
    await polled.close()


async def test_a_collector_that_computes_without_end_is_bounded_too(server: FakeServer) -> None:
    class Endless(Probe):
        async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
            await asyncio.Event().wait()
            return ()

    polled = Polled(server.url, Endless(), poll=PollSettings(interval=1, timeout=0.05))
    await polled.sampler.poll(0)
    assert polled.failures("timeout", "probe") == 1
    await polled.close()


async def test_a_poll_that_is_cancelled_has_counted_its_slot(server: FakeServer) -> None:
    server.script("MEMORY", "never")
    polled = Polled(server.url, Probe())
    poll = asyncio.create_task(polled.sampler.poll(0))
    await server.arrived("MEMORY")
    poll.cancel()
    with pytest.raises(asyncio.CancelledError):
        await poll
    assert (polled.total("probe"), polled.failures("other", "probe")) == (1, 1)
    await polled.close()


async def test_polls_that_never_started_are_counted_for_every_collector(server: FakeServer) -> None:
    polled = Polled(server.url, Info(), Probe())
    polled.sampler.missed(late=2, overrun=1)
    for name in ("info", "probe"):
        assert (polled.total(name), polled.failures("skipped", name), polled.failures("timeout", name)) == (3, 2, 1)
    await polled.close()


async def test_a_poll_is_counted_and_its_first_failure_named(server: FakeServer) -> None:
    """Under the names of redis_exporter, to which a poll is a scrape."""
    probe = Probe(ROW.sample(1.0), fault=ValueError("ours"))
    polled = Polled(server.url, Info(), probe)
    await polled.sampler.poll(0.0)
    assert metric_value(polled.instruments, "redis_exporter_scrapes_total") == 1
    assert metric_value(polled.instruments, "redis_exporter_last_scrape_error", err="other") == 1
    probe.fault = None
    await polled.sampler.poll(0.0)
    assert metric_value(polled.instruments, "redis_exporter_scrapes_total") == 2
    assert metric_value(polled.instruments, "redis_exporter_last_scrape_error", err="other") == 0
    assert metric_value(polled.instruments, "redis_exporter_scrape_duration_seconds_count") == 2
    await polled.close()


async def test_a_collector_that_can_do_without_a_denied_command_works_and_is_called_denied(server: FakeServer) -> None:
    server.script("MEMORY", error("NOPERM no permissions to run the 'memory|doctor' command"))

    class Content(Probe):
        async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
            await commands.pipeline([("MEMORY", "DOCTOR"), ("TIME",)])
            return self.found

    polled = Polled(server.url, Content(ROW.sample(1)))
    for _ in range(2):
        await polled.sampler.poll(0)
        assert tuple(map(polled.of_collector, ("success", "supported", "denied"))) == (1, 1, 1)
        assert polled.heard.runs[-1] == ("probe", "denied: memory|doctor")
    assert polled.found() == 1
    assert not polled.sampler.failing
    await polled.close()


async def test_a_part_of_a_collector_that_fails_is_told(server: FakeServer) -> None:
    fault = CollectorFault("a.lua", "other", "ERR no")
    polled = Polled(server.url, Probe(ROW.sample(1), fault))
    await polled.sampler.poll(0)
    assert polled.heard.faults == {"probe": [fault]}
    assert polled.heard.polls == 1
    await polled.close()


async def test_a_poll_that_the_breaker_rejects_names_what_was_wrong_before(server: FakeServer) -> None:
    polled = Polled(server.url, Probe(), breaker=BreakerSettings(failure_threshold=1))
    server.script("MEMORY", error("LOADING loading"))
    for _ in range(2):
        await polled.sampler.poll(0)
        assert polled.sampler.failing["probe"].error.reason == "loading"
        assert metric_value(polled.instruments, "redis_exporter_last_scrape_error", err="loading") == 1
    assert server.count("MEMORY") == 1
    await polled.close()


async def test_a_poll_that_the_breaker_rejects_names_what_the_pings_met() -> None:
    polled = Polled("redis://127.0.0.1:1", Probe(), breaker=BreakerSettings(failure_threshold=1))
    await polled.probe_due()
    await polled.ended(1)
    await polled.sampler.poll(0)
    assert polled.sampler.failing["probe"].error.reason == "refused"
    assert metric_value(polled.instruments, "redis_exporter_last_scrape_error", err="refused") == 1
    await polled.close()


class Keyed(RoleOptions):
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
async def test_keys_are_read_on_servers_of_the_roles_that_are_wanted(
    server: FakeServer, roles: Any, role: str, is_grouped: bool, is_read: bool
) -> None:
    """The sums of a cluster with replicas would count every key twice."""
    server.info = bulk(f"redis_version:7.0.0\r\nrole:{role}\r\nrun_id:a\r\n")
    polled = Polled(server.url, Info(), Probe(ROW.sample(1)), is_grouped=is_grouped)
    polled.sampler._collectors = [
        ConfiguredCollector(Info(), Options()),
        ConfiguredCollector(Probe(ROW.sample(1)), Keyed(roles=roles)),
    ]
    await polled.sampler.poll(0)
    assert (polled.found() is not None) is is_read
    await polled.close()


@pytest.mark.parametrize("reply", [bulk("# Server\r\n"), bulk(""), error("ERR Invalid section. Try INFO HELP")])
async def test_a_server_of_whose_info_nothing_can_be_read_is_a_failure_and_no_silence(reply: Reply) -> None:
    """Upstash answers an unknown section with its heading: the target had no metric, and no error either."""
    async with FakeServer() as server:
        server.script("INFO", reply)
        polled = Polled(server.url, COLLECTOR)  # type: ignore[arg-type]
        await polled.sampler.poll(0.0)
        assert polled.of_collector("success", "info") == 0
        assert polled.of_collector("supported", "info") == 1
        await polled.close()


async def test_after_a_reconnect_a_server_is_asked_for_everything_again() -> None:
    """Behind the same address there may be another server, of which INFO tells too little to know it by."""
    async with FakeServer() as server:
        nothing, text = bulk(""), bulk("# Server\r\nupstash_version:1\r\nredis_version:6.2.6\r\n")
        polled = Polled(server.url, Reader())
        server.script("INFO", nothing, text, nothing, text, text)
        for _ in range(4):
            await polled.sampler.poll(0)
        await server.drop()
        for _ in range(2):
            await polled.sampler.poll(0)
        asked = [command[1] for command in server.received if command[0] == "INFO"]
        first, kept, again = ["everything", "all"] * 2, ["all"] * 2, ["all", "everything"]
        assert asked == first + kept + again
        await polled.close()


async def test_a_poll_of_many_collectors_is_one_failure_for_the_breaker(server: FakeServer) -> None:
    """Ten collectors at once opened the breaker within 6 ms of the start."""
    await server.stop()
    polled = Polled(server.url, *(named(f"c{number}") for number in range(10)))
    await polled.sampler.poll(0)
    assert (polled.breaker.failures, polled.breaker.outstanding) == (1, 0)
    assert polled.breaker.state == "closed"
    assert [state for _, state in polled.heard.runs] == ["refused"] * 10
    await polled.close()


async def test_a_poll_that_is_answered_is_one_success_for_the_breaker(server: FakeServer) -> None:
    polled = Polled(server.url, *(named(f"c{number}") for number in range(10)))
    await polled.sampler.poll(0)
    assert (polled.breaker.successes, polled.breaker.outstanding) == (1, 0)
    await polled.close()


async def test_a_poll_under_an_open_breaker_fails_for_what_opened_it(server: FakeServer) -> None:
    polled = Polled(server.url, named("c"))
    for _ in range(5):
        permit = polled.breaker.acquire()
        assert permit is not None
        permit.failure(OperationTimeoutError("no answer in time"))
    await polled.sampler.poll(0)
    assert polled.heard.runs == [("c", "timeout")]
    assert server.accepted == 0
    assert metric_value(polled.instruments, "redis_exporter_last_scrape_error", err="timeout") == 1
    await polled.close()


def named(name: str) -> Probe:
    probe = Probe(ROW.sample(1))
    probe.name = name  # type: ignore[misc]
    return probe


async def test_a_command_that_is_not_answered_in_time_is_a_failure_for_the_breaker(server: FakeServer) -> None:
    """Two deadlines lay so close together that the breaker was told nothing, or even of a success."""
    server.script("MEMORY", "never")
    polled = Polled(server.url, Info(), named("c"), clock=time.monotonic, poll=PollSettings(timeout=0.1))
    await polled.sampler.poll(0)
    assert polled.heard.runs[-1] == ("c", "timeout")
    assert (polled.breaker.failures, polled.breaker.successes, polled.breaker.outstanding) == (1, 0, 0)
    await polled.close()


async def test_what_was_never_sent_has_no_duration(server: FakeServer) -> None:
    polled = Polled(server.url, named("c"))
    for _ in range(5):
        permit = polled.breaker.acquire()
        assert permit is not None
        permit.failure(OperationTimeoutError("no answer in time"))
    await polled.sampler.poll(0)
    assert polled.failures("timeout", "c") == 1
    assert metric_value(polled.instruments, "redis_operation_duration_seconds_count", operation="c") == 0
    await polled.close()


async def test_a_collector_that_is_not_run_any_more_leaves_nothing_on_the_page(server: FakeServer) -> None:
    """Denied while it was a primary, and not read as a replica: the alert would never have ended."""
    collector = named("c")
    polled = Polled(server.url, collector)
    server.script("MEMORY", error("NOPERM this user has no permissions to run the 'memory|doctor' command"))
    await polled.sampler.poll(0)
    assert metric_value(polled.instruments, "redis_collector_denied", collector="c") == 1
    collector.wanted = False
    for _ in range(2):
        await polled.sampler.poll(0)
    names = {sample.name for sample in all_samples(polled.instruments) if sample.labels.get("collector") == "c"}
    assert not names & {"redis_collector_denied", "redis_collector_success", "redis_collector_supported"}
    assert polled.heard.runs[-1] == ("c", "rests")
    assert polled.heard.runs.count(("c", "rests")) == 1
    collector.wanted = True
    await polled.sampler.poll(0)
    assert metric_value(polled.instruments, "redis_collector_success", collector="c") == 0
    await polled.close()
