"""What all sources share: one that fails keeps what it knew, and nothing is taken twice or from where it may not."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from prometheus_client import CollectorRegistry

from redis_pulse.client import ConnectLimiter
from redis_pulse.config import DiscoverySettings as Limits
from redis_pulse.config import FileSourceSettings, SourceSettings, TargetSettings, parse_url
from redis_pulse.discovery import DiscoveryError, DiscoveryManager, SourceContext, TargetSource
from redis_pulse.discovery.manager import MAKERS
from redis_pulse.telemetry import DiscoveryMetrics
from tests.fakes import ManualClock
from tests.harness import target_settings


class Told:
    """A source that names what it is told to."""

    def __init__(self, settings: SourceSettings, around: SourceContext) -> None:
        self.settings = settings
        self.around = around
        self.answer: Sequence[TargetSettings] | Exception = ()
        self.asked = 0
        self.closed = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def refresh(self) -> Sequence[TargetSettings]:
        self.asked += 1
        await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def aclose(self) -> None:
        self.closed = True


class Room:
    """A ``DiscoverySettings`` of sources that are told what to say."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.instruments = DiscoveryMetrics(self.registry)
        self.sources: dict[str, Told] = {}
        self.changes = 0
        self.wall = 1000.0
        self.discovery = DiscoveryManager(self.instruments, self._lend, changed=self._changed, wall=lambda: self.wall)

    async def _changed(self) -> None:
        self.changes += 1

    def _lend(
        self, settings: SourceSettings, hint: Callable[[], None], refuse: Callable[[str, str], None]
    ) -> SourceContext:
        del settings
        return SourceContext(
            self.instruments,
            ManualClock(),
            ConnectLimiter(),
            request_refresh=hint,
            reject=refuse,
            probe_status=lambda _name: None,
        )

    def make(self, settings: SourceSettings, around: SourceContext) -> TargetSource:
        source = self.sources[settings.name] = Told(settings, around)
        return source

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"kind": "file", **labels})

    def names(self, *declared: TargetSettings) -> list[str]:
        return [target.name for target in self.discovery.targets(declared)]


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Room:
    room = Room()
    monkeypatch.setitem(MAKERS, "file", room.make)
    return room


def source(name: str, **options: object) -> SourceSettings:
    return SourceSettings(
        "file", name, FileSourceSettings(path=name, **options), target_settings("redis://to-be-found")
    )


def target(name: str, url: str) -> TargetSettings:
    return target_settings(url, name=name)


async def test_what_a_source_names_becomes_targets_beside_the_declared_ones(room: Room) -> None:
    await room.discovery.apply([source("a")], Limits())
    assert not room.discovery.settled
    room.sources["a"].answer = [target("x", "10.0.0.1"), target("y", "10.0.0.2")]
    await room.discovery.refresh("file a")
    assert room.discovery.settled
    assert room.changes == 1
    assert room.names(target("own", "10.0.0.9")) == ["own", "x", "y"]
    assert room.value("redis_exporter_discovery_targets", source="a") == 2
    assert room.value("redis_exporter_discovery_changes_total", source="a", change="added") == 2
    assert room.value("redis_exporter_discovery_last_success_timestamp_seconds", source="a") == 1000


async def test_a_source_that_says_the_same_again_changes_nothing(room: Room) -> None:
    await room.discovery.apply([source("a")], Limits())
    room.sources["a"].answer = [target("x", "10.0.0.1")]
    await room.discovery.refresh("file a")
    await room.discovery.refresh("file a")
    assert room.changes == 1


@pytest.mark.parametrize("error", [DiscoveryError("no such file"), OSError("gone"), KeyError("a fault of ours")])
async def test_a_source_that_fails_keeps_what_it_knew_and_is_counted(room: Room, error: Exception) -> None:
    await room.discovery.apply([source("a")], Limits())
    room.sources["a"].answer = [target("x", "10.0.0.1")]
    await room.discovery.refresh("file a")
    room.wall = 2000.0
    room.sources["a"].answer = error
    await room.discovery.refresh("file a")
    assert room.names() == ["x"]
    assert room.value("redis_exporter_discovery_failures_total", source="a") == 1
    assert room.value("redis_exporter_discovery_refreshes_total", source="a") == 2
    assert room.value("redis_exporter_discovery_last_success_timestamp_seconds", source="a") == 1000


async def test_a_source_that_never_worked_is_settled_and_has_no_time_of_success(room: Room) -> None:
    await room.discovery.apply([source("a")], Limits())
    room.sources["a"].answer = DiscoveryError("no such file")
    await room.discovery.refresh("file a")
    assert room.discovery.settled
    assert room.value("redis_exporter_discovery_last_success_timestamp_seconds", source="a") is None


async def test_of_two_targets_for_one_server_or_of_one_name_the_first_stays(room: Room) -> None:
    await room.discovery.apply([source("a"), source("b")], Limits())
    room.sources["a"].answer = [target("x", "10.0.0.1"), target("own", "10.0.0.5")]
    room.sources["b"].answer = [target("y", "10.0.0.1"), target("z", "10.0.0.3")]
    await room.discovery.refresh("file a")
    await room.discovery.refresh("file b")
    assert room.names(target("own", "10.0.0.9")) == ["own", "x", "z"]
    assert room.value("redis_exporter_discovery_refused_total", source="b", why="known") == 1


async def test_what_is_not_allowed_is_not_taken(room: Room) -> None:
    await room.discovery.apply([source("a")], Limits(allow=("10.0.0.0/8",)))
    room.sources["a"].answer = [target("x", "10.0.0.1"), target("y", "192.168.0.1")]
    await room.discovery.refresh("file a")
    assert room.names() == ["x"]
    assert room.value("redis_exporter_discovery_refused_total", source="a", why="not_allowed") == 1


async def test_a_list_of_networks_that_gets_shorter_counts_at_once(room: Room) -> None:
    await room.discovery.apply([source("a")], Limits())
    room.sources["a"].answer = [target("x", "10.0.0.1"), target("y", "192.168.0.1")]
    await room.discovery.refresh("file a")
    await room.discovery.apply([source("a")], Limits(allow=("10.0.0.0/8",)))
    assert room.names() == ["x"]


async def test_a_source_is_told_whom_it_may_ask_also_when_only_the_list_changed(room: Room) -> None:
    await room.discovery.apply([source("a")], Limits())
    around = room.sources["a"].around
    assert around.allowed(parse_url("192.168.0.1").endpoint)
    await room.discovery.apply([source("a")], Limits(allow=("10.0.0.0/8",)))
    assert not around.allowed(parse_url("192.168.0.1").endpoint)
    assert around.allowed(parse_url("10.0.0.1").endpoint)


async def test_a_source_that_is_made_anew_is_told_what_it_knew(room: Room) -> None:
    """Whom it was told to ask may be gone meanwhile; whom it found may still be there."""
    await room.discovery.apply([source("a")], Limits())
    assert room.sources["a"].around.known() == ()
    room.sources["a"].answer = [target("x", "10.0.0.1")]
    await room.discovery.refresh("file a")
    await room.discovery.apply([source("a", interval=60)], Limits())
    assert [one.name for one in room.sources["a"].around.known()] == ["x"]


async def test_more_targets_than_the_limit_are_not_taken(room: Room) -> None:
    await room.discovery.apply([source("a")], Limits(max_targets=1))
    room.sources["a"].answer = [target("x", "10.0.0.1"), target("y", "10.0.0.2")]
    await room.discovery.refresh("file a")
    assert room.names() == ["x"]
    assert room.value("redis_exporter_discovery_refused_total", source="a", why="too_many") == 1


async def test_a_source_that_did_not_change_goes_on_over_a_reload_and_others_come_and_go(room: Room) -> None:
    await room.discovery.apply([source("a"), source("b")], Limits())
    for name in "ab":
        room.sources[name].answer = [target(f"of-{name}", f"10.0.0.{ord(name)}")]
        await room.discovery.refresh(f"file {name}")
    kept, left = room.sources["a"], room.sources["b"]
    come, gone = await room.discovery.apply([source("a"), source("c")], Limits())
    assert ([one.name for one in come], gone) == (["c"], ["file b"])
    assert room.sources["a"] is kept
    assert (kept.closed, left.closed) == (False, True)
    assert room.names() == ["of-a"]
    assert room.value("redis_exporter_discovery_targets", source="b") is None


@pytest.mark.parametrize("answer", [[target("x", "10.0.0.1")], DiscoveryError("closed"), KeyError("a fault of ours")])
async def test_a_source_that_a_reload_takes_away_while_it_is_asked_leaves_nothing(
    room: Room, answer: Sequence[TargetSettings] | Exception
) -> None:
    await room.discovery.apply([source("a")], Limits())
    told = room.sources["a"]
    told.answer = answer
    told.gate.clear()
    asking = asyncio.create_task(room.discovery.refresh("file a"))
    await asyncio.sleep(0)
    await room.discovery.apply([], Limits())
    told.gate.set()
    await asking
    assert room.names() == []
    assert [sample for family in room.registry.collect() for sample in family.samples] == []


async def test_a_source_that_changed_keeps_its_targets_until_it_is_asked(room: Room) -> None:
    await room.discovery.apply([source("a")], Limits())
    room.sources["a"].answer = [target("x", "10.0.0.1")]
    await room.discovery.refresh("file a")
    await room.discovery.apply([source("a", interval=60)], Limits())
    assert room.names() == ["x"]
    await room.discovery.refresh("file a")
    assert room.names() == []


async def test_hints_during_a_refresh_make_one_more_and_not_two_at_once(room: Room) -> None:
    await room.discovery.apply([source("a")], Limits())
    told = room.sources["a"]
    told.gate.clear()
    first = asyncio.create_task(room.discovery.refresh("file a"))
    await asyncio.sleep(0)
    for _ in range(5):
        told.around.request_refresh()
    await asyncio.sleep(0)
    assert told.asked == 1
    told.gate.set()
    await first
    assert told.asked == 2


async def test_stopping_closes_every_source(room: Room) -> None:
    await room.discovery.apply([source("a")], Limits())
    await room.discovery.stop()
    assert room.sources["a"].closed


async def test_a_source_that_changed_keeps_its_targets_while_the_old_one_is_closed(room: Room) -> None:
    """For a moment they were gone, and another source that found something made them begin anew."""
    await room.discovery.apply([source("a")], Limits())
    old = room.sources["a"]
    old.answer = [target("x", "10.0.0.1")]
    await room.discovery.refresh("file a")
    names: list[list[str]] = []

    async def aclose() -> None:
        names.append(room.names())

    old.aclose = aclose  # type: ignore[method-assign]
    await room.discovery.apply([source("a", interval=60)], Limits())
    assert names == [["x"]]
