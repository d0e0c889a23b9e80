"""Tests of ``PageFilter``: a part of the page has the same series as the whole page."""

import gzip
from typing import Literal

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from redis_pulse.exposition import PageBuilder, PageFilter, render_steps
from redis_pulse.metric import counter, gauge
from redis_pulse.sample_store import SampleStore
from redis_pulse.telemetry import ExporterMetrics
from tests.fakes import ManualClock
from tests.harness import put

MEMORY = gauge("Memory", "used_memory", "memory_used_bytes", "Bytes allocated by the server.")
SLOW = counter("Slowlog", "length", "slowlog_length_total", "Slow commands.")


class PageSetup:
    """Two monitored targets, each with samples of two collectors."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.metrics = ExporterMetrics("x")
        self.store = SampleStore(render_steps, self.clock)
        self.metrics.sample_times = self.store.times
        self.page = PageBuilder(self.store, self.metrics, [MEMORY, SLOW])
        for name in ("a", "b"):
            self.metrics.add_target(name, ["ping"], buckets=(0.1,), address=f"{name}:6379", labels={})
            put(self.store, name, "info", [MEMORY.sample(1.5)], 45)
            put(self.store, name, "slowlog", [SLOW.sample(4)], 45)

    async def filtered(
        self,
        target: str | None = None,
        collectors: set[str] | None = None,
        names: set[str] | None = None,
        only: Literal["exporter", "targets"] | None = None,
        *,
        openmetrics: bool = False,
    ) -> str:
        page_filter = PageFilter(
            target,
            None if collectors is None else frozenset(collectors),
            None if names is None else frozenset(names),
            only,
        )
        return bytes(await self.page.filtered(page_filter, openmetrics=openmetrics, gzip=False)).decode()


def series(text: str) -> set[str]:
    return {line.partition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


async def test_page_of_one_target_has_its_series_of_the_whole_page() -> None:
    setup = PageSetup()
    whole = series(bytes(await setup.page.full(openmetrics=False, gzip=False)).decode())
    assert series(await setup.filtered("a")) == {line for line in whole if 'target="a"' in line}
    assert 'redis_sample_age_seconds{target="a",collector="info"}' in series(await setup.filtered("a"))


async def test_filter_without_arguments_selects_the_whole_page() -> None:
    setup = PageSetup()
    whole = bytes(await setup.page.full(openmetrics=False, gzip=False)).decode()
    assert series(await setup.filtered()) == series(whole)


async def test_removed_target_has_an_empty_page() -> None:
    assert series(await PageSetup().filtered("gone")) == set()


async def test_collectors_filter_keeps_the_metrics_of_the_exporter() -> None:
    setup = PageSetup()
    selected = series(await setup.filtered("a", {"slowlog"}))
    assert 'redis_slowlog_length_total{target="a"}' in selected
    assert 'redis_memory_used_bytes{target="a"}' not in selected
    assert 'redis_up{target="a"}' in selected


async def test_names_filter_leaves_out_everything_else() -> None:
    setup = PageSetup()
    assert series(await setup.filtered(names={"redis_memory_used_bytes", "redis_up", "redis_exporter_targets"})) == {
        *('redis_memory_used_bytes{target="a"}', 'redis_memory_used_bytes{target="b"}'),
        *('redis_up{target="a"}', 'redis_up{target="b"}', "redis_exporter_targets"),
    }


async def test_only_exporter_and_only_targets_make_up_the_whole_page() -> None:
    setup = PageSetup()
    of_daemon, of_targets = series(await setup.filtered(only="exporter")), series(await setup.filtered(only="targets"))
    assert "redis_exporter_targets" in of_daemon
    assert 'redis_up{target="a"}' in of_targets
    assert not of_daemon & of_targets
    assert of_daemon | of_targets == series(bytes(await setup.page.full(openmetrics=False, gzip=False)).decode())


async def test_outdated_samples_are_not_served() -> None:
    setup = PageSetup()
    setup.clock.advance(46)
    assert 'redis_memory_used_bytes{target="a"}' not in series(await setup.filtered("a"))
    assert 'redis_up{target="a"}' in series(await setup.filtered("a"))


async def test_both_formats_are_read_by_the_parsers_of_prometheus_client() -> None:
    setup = PageSetup()
    text, openmetrics = await setup.filtered("a"), await setup.filtered("a", openmetrics=True)
    assert {family.name for family in parse_text(text)} == {family.name for family in parse_openmetrics(openmetrics)}
    assert openmetrics.endswith("# EOF\n")


async def test_part_can_be_compressed() -> None:
    setup = PageSetup()
    body = await setup.page.filtered(PageFilter("a"), openmetrics=False, gzip=True)
    assert series(gzip.decompress(bytes(body)).decode()) == series(await setup.filtered("a"))


async def test_every_family_of_the_page_is_in_the_names() -> None:
    setup = PageSetup()
    types = [line for line in (await setup.filtered()).splitlines() if line.startswith("# TYPE ")]
    assert {line.split()[2] for line in types} <= set(setup.page.names)
