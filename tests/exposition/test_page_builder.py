"""Tests of the page: both formats, plain and compressed, read by the parsers of prometheus_client."""

import asyncio
import gzip
from collections.abc import Iterator
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from redis_pulse.exposition import PageFilter, render_steps
from redis_pulse.exposition.page_builder import CACHE_TTL, PageBuilder
from redis_pulse.metric import MetricSpec, counter, gauge, summary
from redis_pulse.sample_store import SampleStore
from redis_pulse.telemetry import ExporterMetrics
from tests.fakes import ManualClock
from tests.harness import eventually, metric_value, put

PLAIN = gauge("Memory", "used_memory", "memory_used_bytes", "Bytes allocated by the server.")
LABELLED = gauge("Keyspace", "keys", "db_keys", "Keys of a database.", labels=("db",))
COUNTER = counter("Stats", "expired_keys", "expired_keys_total", "Keys that expired.")
UNUSUAL_COUNTER = counter("Stats", "total_error_replies", "total_error_replies", "Error replies.")
SPECS = [PLAIN, LABELLED, COUNTER, UNUSUAL_COUNTER]


def make_page(*targets: str) -> tuple[PageBuilder, SampleStore, ExporterMetrics, ManualClock]:
    clock, metrics = ManualClock(), ExporterMetrics("x")
    store = SampleStore(render_steps, clock)
    metrics.sample_times = store.times
    for target in targets:
        samples = [PLAIN.sample(1.5), LABELLED.sample(2, "db0"), LABELLED.sample(3, "db1"), COUNTER.sample(4)]
        put(store, target, "info", [*samples, UNUSUAL_COUNTER.sample(5)], 45)
    return PageBuilder(store, metrics, SPECS, clock=clock), store, metrics, clock


async def test_family_has_the_series_of_all_targets() -> None:
    page, *_ = make_page("a", "b")
    text = bytes(await page.full(openmetrics=False, gzip=False)).decode()
    assert text.count("# TYPE redis_db_keys gauge\n") == 1
    start = text.index("# TYPE redis_db_keys gauge\n")
    assert text[start:].splitlines()[1:5] == [
        'redis_db_keys{target="a",db="db0"} 2',
        'redis_db_keys{target="a",db="db1"} 3',
        'redis_db_keys{target="b",db="db0"} 2',
        'redis_db_keys{target="b",db="db1"} 3',
    ]


async def test_text_page_is_read_by_the_parser_of_prometheus_client() -> None:
    page, *_ = make_page("a")
    text = bytes(await page.full(openmetrics=False, gzip=False)).decode()
    families = {family.name: family for family in parse_text(text)}
    assert families["redis_memory_used_bytes"].samples[0].value == 1.5
    assert families["redis_memory_used_bytes"].documentation == PLAIN.help
    assert families["redis_sample_age_seconds"].samples[0].labels == {"target": "a", "collector": "info"}
    assert "_created" not in text


async def test_openmetrics_page_is_read_by_the_openmetrics_parser() -> None:
    page, *_ = make_page("a")
    text = bytes(await page.full(openmetrics=True, gzip=False)).decode()
    types = {family.name: family.type for family in parse_openmetrics(text)}
    assert text.endswith("# EOF\n")
    assert types["redis_expired_keys"] == "counter"
    assert types["redis_total_error_replies"] == "unknown"  # OpenMetrics allows no counter with this established name
    assert types["redis_exporter_missed_runs"] == "counter"


async def test_compressed_page_has_the_same_lines() -> None:
    page, *_ = make_page("a")
    plain = bytes(await page.full(openmetrics=False, gzip=False))
    compressed = gzip.decompress(bytes(await page.full(openmetrics=False, gzip=True)))
    assert len(compressed) > 1000
    assert _without_exporter_metrics(compressed) == _without_exporter_metrics(plain)


async def test_simultaneous_scrapes_share_one_page() -> None:
    page, _, metrics, _ = make_page("a")
    pages = await asyncio.gather(*(page.full(openmetrics=False, gzip=False) for _ in range(5)))
    assert len(set(map(id, pages))) == 1
    assert metric_value(metrics, "redis_exporter_page_render_seconds_count") == 1


async def test_scraper_that_leaves_does_not_cancel_the_page_of_others() -> None:
    page, *_ = make_page("a")
    leaving = asyncio.create_task(page.full(openmetrics=False, gzip=False))
    staying = asyncio.create_task(page.full(openmetrics=False, gzip=False))
    await asyncio.sleep(0)
    leaving.cancel()
    assert b"redis_memory_used_bytes" in bytes(await staying)


async def test_page_is_completed_after_its_scrapers_have_left() -> None:
    """The next scrape gets it. Otherwise a client that leaves at once could begin a page again and again."""
    page, _, metrics, _ = make_page("a")
    leaving = asyncio.create_task(page.full(openmetrics=False, gzip=False))
    await asyncio.sleep(0)
    leaving.cancel()
    assert b"redis_memory_used_bytes" in bytes(await page.full(openmetrics=False, gzip=False))
    assert metric_value(metrics, "redis_exporter_page_render_seconds_count") == 1


def slow_page(*targets: str) -> tuple[PageBuilder, ExporterMetrics]:
    """Return a builder that yields to the event loop after each chunk."""
    _, store, metrics, clock = make_page(*targets)
    for target in targets:
        metrics.add_target(target, ["info"], buckets=(0.1,), address=f"{target}:6379", labels={})
    return PageBuilder(store, metrics, SPECS, clock=lambda: clock.advance(0.001)), metrics


async def test_equal_parts_of_the_page_are_built_once() -> None:
    page, metrics = slow_page("a", "b")
    equal = [PageFilter("a"), PageFilter("a"), PageFilter("a", names=None)]
    tasks = [asyncio.create_task(page.filtered(one, openmetrics=False, gzip=False)) for one in equal]
    other = asyncio.create_task(page.filtered(PageFilter("b"), openmetrics=False, gzip=False))
    await asyncio.sleep(0)
    tasks[0].cancel()  # the other two still wait
    first, second, third = await asyncio.gather(tasks[1], tasks[2], other)
    assert first is second
    assert b'target="a"' in bytes(first)
    assert b'target="b"' in bytes(third)
    assert metric_value(metrics, "redis_exporter_page_render_seconds_count") == 2
    assert not any(map(len, page._parts))


async def test_part_of_the_page_that_nobody_waits_for_is_not_built() -> None:
    """A client could ask and leave again and again, and the builds would pile up."""
    page, metrics = slow_page(*"abcdefgh")
    for number in range(100):
        names = frozenset({f"redis_{number}", "redis_up"})
        leaving = asyncio.create_task(page.filtered(PageFilter(None, names=names), openmetrics=False, gzip=True))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        leaving.cancel()
    await asyncio.sleep(0.01)
    assert not any(map(len, page._parts))
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert metric_value(metrics, "redis_exporter_page_render_seconds_count") == 0


async def test_one_part_of_all_targets_is_built_at_a_time() -> None:
    """Each may be as large as the page. A part of one target does not wait for them, nor does the page."""
    page, _ = slow_page(*"abcdefgh")
    parts = [PageFilter(None, names=frozenset({"redis_db_keys", str(number)})) for number in range(40)]
    tasks = [asyncio.create_task(page.filtered(one, openmetrics=False, gzip=False)) for one in parts]
    running = most = 0
    stream = page._stream_filtered

    def counted(page_filter: PageFilter, *, openmetrics: bool) -> Iterator[Any]:
        nonlocal running, most
        running += not page_filter.is_short
        most = max(most, running)
        yield from stream(page_filter, openmetrics=openmetrics)
        running -= not page_filter.is_short

    page._stream_filtered = counted  # type: ignore[method-assign]
    short = await page.filtered(PageFilter("a", names=frozenset({"redis_db_keys"})), openmetrics=False, gzip=False)
    assert bytes(short).count(b"redis_db_keys{") == 2
    assert sum(task.done() for task in tasks) <= 5
    bodies = await asyncio.gather(*tasks)
    assert {bytes(body).count(b"redis_db_keys{") for body in bodies} == {16}
    assert most == 1


async def test_long_page_is_built_in_slices() -> None:
    """Other tasks get a turn between two slices."""
    clock = ManualClock()
    page, store, metrics, _ = make_page("a")

    def slow_clock() -> float:
        return clock.advance(0.001)

    page = PageBuilder(store, metrics, SPECS, clock=slow_clock)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await page.full(openmetrics=False, gzip=False)
    task.cancel()
    assert turns > 20


async def test_page_advances_while_other_tasks_are_busy() -> None:
    """On an overloaded machine it would otherwise get half a millisecond of every second."""
    clock, turns = ManualClock(), 0
    _, store, metrics, _ = make_page("a")
    page = PageBuilder(store, metrics, SPECS, clock=lambda: clock.advance(0.0006))

    async def other(seconds: float) -> None:
        nonlocal turns
        while True:
            turns += 1
            clock.advance(seconds)
            await asyncio.sleep(0)

    async def turns_during_a_page(seconds: float) -> int:
        nonlocal turns
        turns = 0
        task = asyncio.create_task(other(seconds))
        await page.full(openmetrics=False, gzip=False)
        task.cancel()
        clock.advance(60)
        return turns

    assert await turns_during_a_page(0.04) < await turns_during_a_page(0.0001) / 3


async def test_page_follows_new_and_outdated_samples() -> None:
    page, store, _, clock = make_page("a")
    first = bytes(await page.full(openmetrics=False, gzip=False))
    assert b'redis_memory_used_bytes{target="a"} 1.5\n' in first
    clock.advance(CACHE_TTL)
    again = bytes(await page.full(openmetrics=False, gzip=False))
    assert _without_exporter_metrics(again) == _without_exporter_metrics(first)
    put(store, "a", "info", [PLAIN.sample(7)], 45)
    clock.advance(CACHE_TTL)
    assert b'redis_memory_used_bytes{target="a"} 7\n' in bytes(await page.full(openmetrics=False, gzip=False))
    clock.advance(46)
    assert b"redis_memory_used_bytes{" not in bytes(await page.full(openmetrics=False, gzip=False))


async def test_flood_of_scrapes_is_served_from_few_pages() -> None:
    """Scrapers cannot stop the measurements, and no page is served for too long."""
    page, _, metrics, clock = make_page("a")
    for _ in range(100):
        await page.full(openmetrics=False, gzip=True)
        clock.advance(CACHE_TTL / 10)
    assert 9 <= metric_value(metrics, "redis_exporter_page_render_seconds_count") <= 11


async def test_page_of_any_size_is_served_again_and_then_dropped() -> None:
    """200 targets have a page of 14 MB. It is needed again, but must not stay until the next scrape."""
    page, store, *_ = make_page("a")
    put(store, "a", "info", [LABELLED.sample(1, f"{number:0200}") for number in range(40_000)], 45)
    first = await page.full(openmetrics=False, gzip=False)
    assert first.size > 8 * 1024 * 1024 > 4 * len(first.stored)
    assert await page.full(openmetrics=False, gzip=False) is first
    await eventually(lambda: not page._bodies._bodies)


async def test_slow_page_is_served_again_for_as_long_as_it_took() -> None:
    """So pages take at most half of the time."""
    clock = ManualClock()
    _, store, metrics, _ = make_page("a")
    page = PageBuilder(store, metrics, SPECS, clock=lambda: clock.advance(CACHE_TTL))
    first = await page.full(openmetrics=False, gzip=True)
    assert await page.full(openmetrics=False, gzip=True) is first


async def test_family_without_a_fresh_sample_is_left_out() -> None:
    page, _, _, clock = make_page("a")
    clock.advance(46)
    text = bytes(await page.full(openmetrics=False, gzip=False)).decode()
    assert "redis_memory_used_bytes" not in text
    assert 'redis_sample_age_seconds{target="a",collector="info"} 46' in text


async def test_summary_in_percent_keeps_its_series_in_openmetrics() -> None:
    """OpenMetrics allows quantiles from 0 to 1. A parser may refuse the whole page because of another one."""
    spec = summary("S", "f", "y_usec", "Y.", labels=("cmd",), is_percent=True)
    clock, metrics = ManualClock(), ExporterMetrics("x")
    store = SampleStore(render_steps, clock)
    page = PageBuilder(store, metrics, [PLAIN, spec, LABELLED])
    for target in ("a", "b"):
        points = [spec.distribution([("50", 1), ("99.9", 2)], 7, 3, cmd) for cmd in ("get", "set")]
        put(store, target, "c", [PLAIN.sample(1), *points[0], *points[1], LABELLED.sample(2, "db0")], max_age=45)
    text = bytes(await page.full(openmetrics=False, gzip=False)).decode()
    openmetrics = bytes(await page.full(openmetrics=True, gzip=False)).decode()
    (family,) = [one for one in parse_text(text) if one.name == "redis_y_usec"]
    assert (family.type, len(family.samples)) == ("summary", 16)
    families = {one.name: one for one in parse_openmetrics(openmetrics)}
    unknown = [families[f"redis_y_usec{suffix}"] for suffix in ("", "_sum", "_count")]
    assert [(one.type, len(one.samples)) for one in unknown] == [("unknown", 8), ("unknown", 4), ("unknown", 4)]
    assert {line for line in text.splitlines() if line.startswith("redis_y_usec")} == {
        line for line in openmetrics.splitlines() if line.startswith("redis_y_usec")
    }
    assert page.names.count("redis_y_usec") == 1


def _without_exporter_metrics(page: bytes) -> list[bytes]:
    own = (b"process_", b"redis_exporter_", b"python_gc", b"redis_sample_age")
    return [line for line in page.splitlines() if not line.startswith(own)]


async def test_metric_added_later_is_shown_with_its_help() -> None:
    """Operators define metrics of scripts, and a reload may add one."""
    page, store, *_ = make_page("a")
    spec = MetricSpec("gauge", "EVAL", "shop_orders", "shop_orders", "Orders.", labels=("queue",), prefix="")
    put(store, "a", "scripts", [spec.sample(3, "mail")], 45)
    lines = '# HELP shop_orders Orders.\n# TYPE shop_orders gauge\nshop_orders{target="a",queue="mail"} 3\n'
    assert lines in bytes(await page.filtered(PageFilter("a"), openmetrics=False, gzip=False)).decode()
    for openmetrics in (False, True):
        text = bytes(await page.full(openmetrics=openmetrics, gzip=False)).decode()
        assert text.count('shop_orders{target="a",queue="mail"} 3') == 1
    assert "shop_orders" in page.names
