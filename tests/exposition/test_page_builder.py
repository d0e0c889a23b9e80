"""The page is what Prometheus' own parsers read, family by family, in both formats, plain and compressed."""

import asyncio
import gzip

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from redis_pulse.exposition import PageFilter, render
from redis_pulse.exposition.page_builder import CACHE_TTL, PageBuilder
from redis_pulse.metric import MetricSpec, counter, gauge, summary
from redis_pulse.sample_store import SampleStore
from redis_pulse.telemetry import ExporterMetrics
from tests.fakes import ManualClock
from tests.harness import metric_value

PLAIN = gauge("Memory", "used_memory", "memory_used_bytes", "Bytes allocated by the server.")
LABELLED = gauge("Keyspace", "keys", "db_keys", "Keys of a database.", labels=("db",))
COUNTER = counter("Stats", "expired_keys", "expired_keys_total", "Keys that expired.")
ODD = counter("Stats", "total_error_replies", "total_error_replies", "Error replies.")
ROWS = [PLAIN, LABELLED, COUNTER, ODD]


def page_of(*targets: str) -> tuple[PageBuilder, SampleStore, ExporterMetrics, ManualClock]:
    clock, instruments = ManualClock(), ExporterMetrics("x")
    store = SampleStore(render, clock)
    instruments.sample_ages = store.ages
    for target in targets:
        samples = [PLAIN.sample(1.5), LABELLED.sample(2, "db0"), LABELLED.sample(3, "db1"), COUNTER.sample(4)]
        store.put(target, "info", [*samples, ODD.sample(5)], 45)
    return PageBuilder(store, instruments, ROWS, clock=clock), store, instruments, clock


async def test_one_family_holds_the_series_of_all_targets() -> None:
    page, *_ = page_of("a", "b")
    text = (await page.full(openmetrics=False, gzip=False)).decode()
    assert text.count("# TYPE redis_db_keys gauge\n") == 1
    start = text.index("# TYPE redis_db_keys gauge\n")
    assert text[start:].splitlines()[1:5] == [
        'redis_db_keys{target="a",db="db0"} 2',
        'redis_db_keys{target="a",db="db1"} 3',
        'redis_db_keys{target="b",db="db0"} 2',
        'redis_db_keys{target="b",db="db1"} 3',
    ]


async def test_prometheus_own_parser_reads_the_text_page() -> None:
    page, *_ = page_of("a")
    text = (await page.full(openmetrics=False, gzip=False)).decode()
    families = {family.name: family for family in parse_text(text)}
    assert families["redis_memory_used_bytes"].samples[0].value == 1.5
    assert families["redis_memory_used_bytes"].documentation == PLAIN.help
    assert families["redis_sample_age_seconds"].samples[0].labels == {"target": "a", "collector": "info"}
    assert "_created" not in text


async def test_the_openmetrics_page_is_openmetrics() -> None:
    page, *_ = page_of("a")
    text = (await page.full(openmetrics=True, gzip=False)).decode()
    types = {family.name: family.type for family in parse_openmetrics(text)}
    assert text.endswith("# EOF\n")
    assert types["redis_expired_keys"] == "counter"
    assert types["redis_total_error_replies"] == "unknown"  # an established name that OpenMetrics allows no counter
    assert types["redis_exporter_missed_runs"] == "counter"


async def test_a_compressed_page_is_the_same_page() -> None:
    page, *_ = page_of("a")
    plain = await page.full(openmetrics=False, gzip=False)
    squeezed = gzip.decompress(await page.full(openmetrics=False, gzip=True))
    assert len(squeezed) > 1000
    assert _without_our_own(squeezed) == _without_our_own(plain)


async def test_scrapes_that_come_together_are_rendered_once() -> None:
    page, _, instruments, _ = page_of("a")
    pages = await asyncio.gather(*(page.full(openmetrics=False, gzip=False) for _ in range(5)))
    assert len(set(map(id, pages))) == 1
    assert metric_value(instruments, "redis_exporter_page_render_seconds_count") == 1


async def test_a_scraper_that_leaves_does_not_spoil_the_page_of_another() -> None:
    page, *_ = page_of("a")
    leaving = asyncio.create_task(page.full(openmetrics=False, gzip=False))
    staying = asyncio.create_task(page.full(openmetrics=False, gzip=False))
    await asyncio.sleep(0)
    leaving.cancel()
    assert b"redis_memory_used_bytes" in await staying


async def test_a_long_page_is_built_in_slices() -> None:
    """Whoever waits for the loop gets it between two slices."""
    clock = ManualClock()
    page, store, instruments, _ = page_of("a")

    def slow_clock() -> float:
        return clock.advance(0.001)

    page = PageBuilder(store, instruments, ROWS, clock=slow_clock)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    await page.full(openmetrics=False, gzip=False)
    beside.cancel()
    assert turns > 20


async def test_a_page_gets_on_however_much_the_others_have_to_do() -> None:
    """On a machine that is too busy it would else get half a millisecond of every second."""
    clock, turns = ManualClock(), 0
    _, store, instruments, _ = page_of("a")
    page = PageBuilder(store, instruments, ROWS, clock=lambda: clock.advance(0.0003))

    async def other(seconds: float) -> None:
        nonlocal turns
        while True:
            turns += 1
            clock.advance(seconds)
            await asyncio.sleep(0)

    async def turns_beside(seconds: float) -> int:
        nonlocal turns
        turns = 0
        beside = asyncio.create_task(other(seconds))
        await page.full(openmetrics=False, gzip=False)
        beside.cancel()
        clock.advance(60)
        return turns

    assert await turns_beside(0.04) < await turns_beside(0.0001) / 3


async def test_what_was_not_polled_since_the_last_scrape_is_not_joined_again() -> None:
    page, store, _, clock = page_of("a")
    first = await page.full(openmetrics=False, gzip=False)
    assert b'redis_memory_used_bytes{target="a"} 1.5\n' in first
    clock.advance(CACHE_TTL)
    again = await page.full(openmetrics=False, gzip=False)
    assert _without_our_own(again) == _without_our_own(first)
    store.put("a", "info", [PLAIN.sample(7)], 45)
    clock.advance(CACHE_TTL)
    assert b'redis_memory_used_bytes{target="a"} 7\n' in await page.full(openmetrics=False, gzip=False)
    clock.advance(46)
    assert b"redis_memory_used_bytes{" not in await page.full(openmetrics=False, gzip=False)


async def test_a_flood_of_scrapes_is_answered_with_few_renderings() -> None:
    """Whatever scrapers do, the measuring goes on; and a page is never older than it says."""
    page, _, instruments, clock = page_of("a")
    for _ in range(100):
        await page.full(openmetrics=False, gzip=True)
        clock.advance(CACHE_TTL / 10)
    assert 9 <= metric_value(instruments, "redis_exporter_page_render_seconds_count") <= 11


async def test_a_page_that_takes_long_is_handed_out_as_long_again() -> None:
    """So that no more than half of the time is spent on pages."""
    clock = ManualClock()
    _, store, instruments, _ = page_of("a")
    page = PageBuilder(store, instruments, ROWS, clock=lambda: clock.advance(CACHE_TTL))
    first = await page.full(openmetrics=False, gzip=True)
    assert await page.full(openmetrics=False, gzip=True) is first


async def test_a_family_without_a_fresh_sample_is_left_out() -> None:
    page, _, _, clock = page_of("a")
    clock.advance(46)
    text = (await page.full(openmetrics=False, gzip=False)).decode()
    assert "redis_memory_used_bytes" not in text
    assert 'redis_sample_age_seconds{target="a",collector="info"} 46' in text


async def test_a_summary_in_percent_is_one_in_the_text_format_and_loses_no_series_in_openmetrics() -> None:
    """There a quantile is from 0 to 1, and a parser may refuse the whole page because of another."""
    row = summary("S", "f", "y_usec", "Y.", labels=("cmd",), percent=True)
    clock, instruments = ManualClock(), ExporterMetrics("x")
    store = SampleStore(render, clock)
    page = PageBuilder(store, instruments, [PLAIN, row, LABELLED])
    for target in ("a", "b"):
        points = [row.distribution([("50", 1), ("99.9", 2)], 7, 3, cmd) for cmd in ("get", "set")]
        store.put(target, "c", [PLAIN.sample(1), *points[0], *points[1], LABELLED.sample(2, "db0")], max_age=45)
    text = (await page.full(openmetrics=False, gzip=False)).decode()
    openmetrics = (await page.full(openmetrics=True, gzip=False)).decode()
    (family,) = [one for one in parse_text(text) if one.name == "redis_y_usec"]
    assert (family.type, len(family.samples)) == ("summary", 16)
    families = {one.name: one for one in parse_openmetrics(openmetrics)}
    ours = [families[f"redis_y_usec{suffix}"] for suffix in ("", "_sum", "_count")]
    assert [(one.type, len(one.samples)) for one in ours] == [("unknown", 8), ("unknown", 4), ("unknown", 4)]
    assert {line for line in text.splitlines() if line.startswith("redis_y_usec")} == {
        line for line in openmetrics.splitlines() if line.startswith("redis_y_usec")
    }
    assert page.names.count("redis_y_usec") == 1


def _without_our_own(page: bytes) -> list[bytes]:
    ours = (b"process_", b"redis_exporter_", b"python_gc", b"redis_sample_age")
    return [line for line in page.splitlines() if not line.startswith(ours)]


async def test_a_metric_that_came_later_is_shown_with_its_help_on_the_page_and_on_a_part_of_it() -> None:
    """Operators name metrics of their scripts, and a reload may bring one."""
    page, store, *_ = page_of("a")
    own = MetricSpec("gauge", "EVAL", "shop_orders", "shop_orders", "Orders.", labels=("queue",), prefix="")
    store.put("a", "scripts", [own.sample(3, "mail")], 45)
    lines = '# HELP shop_orders Orders.\n# TYPE shop_orders gauge\nshop_orders{target="a",queue="mail"} 3\n'
    assert lines in (await page.filtered(PageFilter("a"), openmetrics=False, gzip=False)).decode()
    for openmetrics in (False, True):
        text = (await page.full(openmetrics=openmetrics, gzip=False)).decode()
        assert text.count('shop_orders{target="a",queue="mail"} 3') == 1
    assert "shop_orders" in page.names
