"""Tests of the page in protobuf. It has the families and series of the text format, for every recorded server."""

import asyncio
import gzip
import re
from collections.abc import Iterable

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse_text

from redis_pulse.collectors import load
from redis_pulse.exposition import PageBuilder, PageFilter, ProtobufPage, render_steps
from redis_pulse.exposition.protobuf_page import INTERVAL
from redis_pulse.metric import MetricSpec, Sample, counter, gauge, gauge_histogram, histogram, summary
from redis_pulse.sample_store import SampleStore
from redis_pulse.slices import MAX_SLICE
from redis_pulse.telemetry import ExporterMetrics
from tests import replay
from tests.fakes import ManualClock
from tests.harness import metric_value, put
from tests.protobuf_reader import Family, families, samples

MEMORY = gauge("Memory", "used_memory", "memory_used_bytes", "Bytes allocated by the server.")
EXPIRED = counter("Stats", "expired_keys", "expired_keys_total", "Keys that expired.")
ERRORS = counter("Stats", "total_error_replies", "total_error_replies", "Error replies.")
LATENCY = histogram("x", "y", "latency_seconds", "Latency.", labels=("cmd",))
PERCENTILES = summary("x", "y", "latency_usec", "Latency.", labels=("cmd",), is_percent=True)
SIZES = gauge_histogram("x", "y", "key_size_bytes", "Sizes.", labels=("type",))
SPECS = [MEMORY, EXPIRED, ERRORS, LATENCY, PERCENTILES, SIZES]
#: The oldest recorded server, the newest, and one with modules.
SERVERS = ("redis-6.2.14", "redis-8.2.3-modules", "valkey-9.1.2")
#: Families that change between two pages of a test.
CHANGING = re.compile(r"process_|python_gc|redis_exporter_page_render|redis_exporter_label_values|redis_sample_age")

Key = tuple[str, frozenset[tuple[str, str]]]


class Pages:
    """Both pages of the same daemon."""

    def __init__(self, *targets: str, specs: Iterable[MetricSpec] = SPECS) -> None:
        self.clock, self.metrics = ManualClock(), ExporterMetrics("x")
        self.store = SampleStore(render_steps, self.clock)
        self.metrics.sample_times = self.store.times
        self.targets = {
            name: self.metrics.add_target(name, ["ping"], buckets=(0.001, 0.1), address=f"{name}:1", labels={})
            for name in targets
        }
        self.text = PageBuilder(self.store, self.metrics, list(specs))
        self.protobuf = self.new_protobuf()

    def new_protobuf(self) -> ProtobufPage:
        """Return a page that was not requested yet."""
        return ProtobufPage(self.text, self.store, self.metrics, clock=self.clock)

    def poll(self, target: str, memory: float = 1.5) -> None:
        """Put the samples of one poll into the store."""
        values = [MEMORY.sample(memory), EXPIRED.sample(4), ERRORS.sample(5)]
        distributions = [
            *LATENCY.distribution([("0.001", 3), ("0.5", 4)], 2.5, 5, "get"),
            *PERCENTILES.distribution([("50", 3.5), ("99.9", 8)], 2.5, 5, "get"),
            *SIZES.census([("4", 2)], 7, "string"),
        ]
        put(self.store, target, "info", values, 45)
        put(self.store, target, "latency", distributions, 45)

    async def families(self, page_filter: PageFilter | None = None) -> dict[str, Family]:
        if page_filter is None:
            page = bytes(await self.protobuf.full(gzip=False))
        else:
            page = bytes(await self.protobuf.filtered(page_filter, gzip=False))
        return {family.name: family for family in families(page)}

    async def assert_same_samples(self) -> int:
        """Compare the pages, and return the number of samples."""
        page = bytes(await self.text.full(openmetrics=False, gzip=False)).decode()
        short = set(re.findall(r"^# TYPE (\w+(?<!_total)) counter$", page, re.MULTILINE))
        text = {}
        for family in parse_text(page):
            for one in family.samples:  # the parser adds the suffix _total to counters that lack it
                name = family.name if family.type == "counter" and family.name in short else one.name
                text[key(name, one.labels)] = one.value
        encoded = {key(*one[:2]): one[2] for one in samples(bytes(await self.protobuf.full(gzip=False)))}
        assert text.keys() == encoded.keys()
        assert steady(text) == steady(encoded)
        return len(text)


def key(name: str, labels: dict[str, str]) -> Key:
    """Return the identity of a series. Bounds are numbers in protobuf, so their spelling is not compared."""
    return name, frozenset(
        (label, repr(float(text)) if label in ("le", "quantile") else text) for label, text in labels.items()
    )


def steady(found: dict[Key, float]) -> dict[Key, str]:
    return {one: repr(float(value)) for one, value in found.items() if not CHANGING.match(one[0])}


async def test_page_has_the_samples_of_the_text_page() -> None:
    pages = Pages("a", 'b"\\')
    for target in pages.metrics.target_names():
        pages.poll(target)
    assert await pages.assert_same_samples() > 200


@pytest.mark.parametrize("server", SERVERS)
async def test_recorded_server_has_the_samples_of_the_text_page(server: str) -> None:
    sessions = replay.recorded_sessions(server)
    specs = [spec for collector in load().values() for spec in collector.metrics]
    pages = Pages(*sessions, specs=specs)
    for role, replies in sessions.items():
        for run in await replay.replay(replies, role):
            found = [item for item in run.items or () if isinstance(item, Sample)]
            put(pages.store, role, run.collector.name, found, 45)
    assert await pages.assert_same_samples() > 500


async def test_families_have_the_names_and_types_of_the_text_format() -> None:
    pages = Pages("a")
    pages.poll("a")
    types = {name: family.type for name, family in (await pages.families()).items()}
    assert types["redis_expired_keys_total"] == "counter"
    assert types["redis_total_error_replies"] == "counter"
    assert types["redis_key_size_bytes_bucket"] == "gauge"
    assert types["redis_latency_usec"] == "summary"
    assert types["redis_exporter_missed_runs_total"] == "counter"
    assert (await pages.families())["redis_memory_used_bytes"].help == MEMORY.help


async def test_native_histograms_are_a_second_family_of_the_same_name() -> None:
    """Prometheus takes all metrics of a family for native histograms if the first one is."""
    pages = Pages("a", "b")
    found = [
        one for one in families(bytes(await pages.protobuf.full(gzip=False))) if one.name.endswith("duration_seconds")
    ]
    durations = [one for one in found if one.name == "redis_operation_duration_seconds"]
    assert [[5 in series.content for series in family.series] for family in durations] == [[False] * 2, [True] * 2]


async def test_compressed_page_is_the_same() -> None:
    pages = Pages("a")
    pages.poll("a")
    compressed = list(families(gzip.decompress(bytes(await pages.protobuf.full(gzip=True)))))
    assert [family.name for family in compressed] == [
        family.name for family in families(bytes(await pages.protobuf.full(gzip=False)))
    ]


async def test_filter_selects_a_part() -> None:
    pages = Pages("a", "b")
    pages.poll("a")
    pages.poll("b")
    found = await pages.families(PageFilter(names=frozenset({"redis_memory_used_bytes", "redis_up"})))
    assert {name: len(family.series) for name, family in found.items()} == {"redis_memory_used_bytes": 2, "redis_up": 2}
    found = await pages.families(PageFilter(target="b"))
    assert {one.labels["target"] for family in found.values() for one in family.series} == {"b"}
    found = await pages.families(PageFilter(target="b", collectors=frozenset({"latency"})))
    assert "redis_latency_seconds" in found
    assert "redis_memory_used_bytes" not in found
    found = await pages.families(PageFilter(only="exporter"))
    assert "redis_exporter_missed_runs_total" in found
    assert "redis_up" not in found


async def test_new_poll_is_shown_and_old_samples_are_not() -> None:
    pages = Pages("a", "b")
    pages.poll("a", 1)
    pages.poll("b", 2)
    assert [one.value for one in (await pages.families())["redis_memory_used_bytes"].series] == [1.0, 2.0]
    pages.clock.advance(44)
    pages.poll("a", 3)
    pages.clock.advance(2)
    await asyncio.sleep(0.3)  # the page is shared for a quarter of a second
    assert [one.value for one in (await pages.families())["redis_memory_used_bytes"].series] == [3.0]
    pages.metrics.remove_target("a")
    pages.store.forget("a")
    assert "redis_memory_used_bytes" not in await pages.families(PageFilter(only="targets"))


async def test_metric_that_an_operator_named_after_the_start_is_shown() -> None:
    pages = Pages("a")
    await pages.families()
    own = MetricSpec("gauge", "script", "x", "my_metric", "Of a script.", prefix="")
    put(pages.store, "a", "scripts", [own.sample(7)], 45)
    found = await pages.families(PageFilter(target="a"))
    assert found["my_metric"].series[0].value == 7.0


async def test_simultaneous_scrapes_share_one_page() -> None:
    pages = Pages("a")
    bodies = await asyncio.gather(*(pages.protobuf.full(gzip=False) for _ in range(5)))
    assert len(set(map(id, bodies))) == 1
    assert metric_value(pages.metrics, "redis_exporter_page_render_seconds_count") == 1


async def test_other_tasks_run_while_a_page_is_built() -> None:
    targets = [f"t{number}" for number in range(20)]
    pages = Pages(*targets)
    for target in targets:
        pages.poll(target)
    text = PageBuilder(pages.store, pages.metrics, [], clock=lambda: pages.clock.advance(MAX_SLICE / 3))
    slow = ProtobufPage(text, pages.store, pages.metrics, clock=pages.clock)
    building = asyncio.create_task(slow.full(gzip=False))
    turns = 0
    while not building.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > len(targets)
    slow.stop()


async def test_polls_are_encoded_between_the_pages_until_nobody_asks() -> None:
    pages = Pages("a")
    pages.poll("a")
    await pages.families()
    before = {task for task in asyncio.all_tasks() if "_encode_between_pages" in repr(task)}
    assert len(before) == 1
    pages.clock.advance(1000)
    await asyncio.sleep(3 * INTERVAL)
    assert all(task.done() for task in before)
    pages.protobuf.stop()
