"""A part of the page is what the whole page says of one target, of some collectors, of some names."""

import gzip
from typing import Literal

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from redis_pulse.exposition import PageBuilder, PageFilter, render
from redis_pulse.metric import counter, gauge
from redis_pulse.sample_store import SampleStore
from redis_pulse.telemetry import ExporterMetrics
from tests.fakes import ManualClock

MEMORY = gauge("Memory", "used_memory", "memory_used_bytes", "Bytes allocated by the server.")
SLOW = counter("Slowlog", "length", "slowlog_length_total", "Slow commands.")


class Room:
    """Two watched targets, each with what two collectors found."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.instruments = ExporterMetrics("x")
        self.store = SampleStore(render, self.clock)
        self.instruments.sample_ages = self.store.ages
        self.page = PageBuilder(self.store, self.instruments, [MEMORY, SLOW])
        for name in ("a", "b"):
            self.instruments.add_target(name, ["ping"], buckets=(0.1,), address=f"{name}:6379", labels={})
            self.store.put(name, "info", [MEMORY.sample(1.5)], 45)
            self.store.put(name, "slowlog", [SLOW.sample(4)], 45)

    async def part(
        self,
        target: str | None = None,
        collectors: set[str] | None = None,
        names: set[str] | None = None,
        only: Literal["exporter", "targets"] | None = None,
        *,
        openmetrics: bool = False,
    ) -> str:
        part = PageFilter(
            target,
            None if collectors is None else frozenset(collectors),
            None if names is None else frozenset(names),
            only,
        )
        return (await self.page.filtered(part, openmetrics=openmetrics, gzip=False)).decode()


def series(text: str) -> set[str]:
    return {line.partition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


async def test_the_page_of_one_target_is_what_the_whole_page_says_of_it() -> None:
    room = Room()
    whole = series((await room.page.full(openmetrics=False, gzip=False)).decode())
    assert series(await room.part("a")) == {line for line in whole if 'target="a"' in line}
    assert 'redis_sample_age_seconds{target="a",collector="info"}' in series(await room.part("a"))


async def test_a_part_of_everything_that_leaves_nothing_out_is_the_whole_page() -> None:
    room = Room()
    whole = (await room.page.full(openmetrics=False, gzip=False)).decode()
    assert series(await room.part()) == series(whole)


async def test_a_target_that_is_gone_has_an_empty_page() -> None:
    assert series(await Room().part("gone")) == set()


async def test_chosen_collectors_leave_out_what_the_others_found_and_nothing_of_ours() -> None:
    room = Room()
    found = series(await room.part("a", {"slowlog"}))
    assert 'redis_slowlog_length_total{target="a"}' in found
    assert 'redis_memory_used_bytes{target="a"}' not in found
    assert 'redis_up{target="a"}' in found


async def test_chosen_names_leave_out_everything_else() -> None:
    room = Room()
    assert series(await room.part(names={"redis_memory_used_bytes", "redis_up", "redis_exporter_targets"})) == {
        *('redis_memory_used_bytes{target="a"}', 'redis_memory_used_bytes{target="b"}'),
        *('redis_up{target="a"}', 'redis_up{target="b"}', "redis_exporter_targets"),
    }


async def test_the_daemon_itself_and_the_targets_make_up_the_whole_page() -> None:
    room = Room()
    of_daemon, of_targets = series(await room.part(only="exporter")), series(await room.part(only="targets"))
    assert "redis_exporter_targets" in of_daemon
    assert 'redis_up{target="a"}' in of_targets
    assert not of_daemon & of_targets
    assert of_daemon | of_targets == series((await room.page.full(openmetrics=False, gzip=False)).decode())


async def test_what_is_too_old_is_not_served() -> None:
    room = Room()
    room.clock.advance(46)
    assert 'redis_memory_used_bytes{target="a"}' not in series(await room.part("a"))
    assert 'redis_up{target="a"}' in series(await room.part("a"))


async def test_both_formats_are_what_prometheus_own_parsers_read() -> None:
    room = Room()
    text, strict = await room.part("a"), await room.part("a", openmetrics=True)
    assert {family.name for family in parse_text(text)} == {family.name for family in parse_openmetrics(strict)}
    assert strict.endswith("# EOF\n")


async def test_a_part_can_be_compressed() -> None:
    room = Room()
    body = await room.page.filtered(PageFilter("a"), openmetrics=False, gzip=True)
    assert series(gzip.decompress(body).decode()) == series(await room.part("a"))


async def test_every_family_of_the_page_has_a_name_that_can_be_asked_for() -> None:
    room = Room()
    types = [line for line in (await room.part()).splitlines() if line.startswith("# TYPE ")]
    assert {line.split()[2] for line in types} <= set(room.page.names)
