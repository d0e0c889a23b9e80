"""The page of many targets, made of compressed groups: the same lines as without groups, at any moment."""

import asyncio
import gzip
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from redis_pulse.exposition import PageFilter, render_steps, sample_groups
from redis_pulse.exposition.page_builder import MAX_CACHE_TTL, PageBuilder
from redis_pulse.exposition.sample_groups import GROUP_SIZE, MAX_LOOSE, MIN_FLEET, WANTED_SECONDS
from redis_pulse.metric import MetricSpec, counter, gauge
from redis_pulse.sample_store import SampleStore
from redis_pulse.telemetry import ExporterMetrics, TargetMetrics, families
from tests.fakes import ManualClock
from tests.harness import eventually, put

PLAIN = gauge("Memory", "used_memory", "memory_used_bytes", "Bytes allocated by the server.")
LABELLED = gauge("Keyspace", "keys", "db_keys", "Keys of a database.", labels=("db",))
COUNTER = counter("Stats", "expired_keys", "expired_keys_total", "Keys that expired.")
SLOW = gauge("Slowlog", "len", "slowlog_length", "Length of the slow log.")


class Fleet:
    """Targets with metrics, whose samples the test puts."""

    def __init__(self, count: int) -> None:
        self.clock = ManualClock()
        self.metrics = ExporterMetrics("x")
        self.store = SampleStore(render_steps, self.clock, wall=ManualClock(1795380000.0))
        self.metrics.sample_times = self.store.times
        self.page = PageBuilder(self.store, self.metrics, [PLAIN, LABELLED, COUNTER, SLOW], clock=self.clock)
        self.targets: dict[str, TargetMetrics] = {}
        for number in range(count):
            self.add(f"t{number}")

    def add(self, name: str) -> None:
        self.targets[name] = self.metrics.add_target(
            name, ["ping", "info"], buckets=(0.1,), address=f"{name}:1", labels={}
        )
        self.poll(name, 1)

    def poll(self, name: str, value: float, *databases: str) -> None:
        """Put samples of two collectors."""
        labelled = [LABELLED.sample(value, database) for database in databases or ("db0", "db1")]
        put(self.store, name, "info", [PLAIN.sample(value), *labelled, COUNTER.sample(value)], 45)
        put(self.store, name, "slowlog", [SLOW.sample(value)], 45)
        self.targets[name].record_poll(0.25)

    def remove(self, name: str) -> None:
        self.metrics.remove_target(name)
        self.store.forget(name)
        del self.targets[name]

    async def text(
        self, page_filter: PageFilter | None = None, *, openmetrics: bool = False, packed: bool = False
    ) -> str:
        """Return a page that is not older than now."""
        self.clock.advance(MAX_CACHE_TTL)
        if page_filter is None:
            body = bytes(await self.page.full(openmetrics=openmetrics, gzip=packed))
        else:
            body = bytes(await self.page.filtered(page_filter, openmetrics=openmetrics, gzip=packed))
        return (gzip.decompress(body) if packed else body).decode()

    @property
    def groups(self) -> int:
        return len(self.page._groups)


def by_family(text: str) -> dict[str, list[str]]:
    """Return the sorted lines under each header, in the order of the page, without those of the daemon itself."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("# HELP "):
            assert line not in found, "a family has two headers"
            lines = found[line] = []
        else:
            lines.append(line)
    return {
        header: sorted(lines)
        for header, lines in found.items()
        if not header.startswith(
            ("# HELP process_", "# HELP python_", "# HELP redis_exporter_page", "# HELP redis_stale")
        )
    }


@pytest.fixture
def ungrouped(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes groups or forbids them."""

    def allow(*, groups: bool) -> None:
        monkeypatch.setattr(sample_groups, "MIN_FLEET", MIN_FLEET if groups else 10**9)

    return allow


@pytest.mark.parametrize("openmetrics", [False, True])
async def test_page_has_the_same_families_and_lines_as_without_groups(ungrouped: Any, *, openmetrics: bool) -> None:
    fleet = Fleet(4 * GROUP_SIZE + 7)
    for name in list(fleet.targets)[::3]:
        fleet.targets[name].operation("ping").failed("timeout", 1.0)
        fleet.targets[name].histogram(families.DURATION, "ping").set_exemplar('stall="1"', 1.0, 1795380000.0)
        fleet.metrics.scraped_apart = frozenset({"t5", "t40"})
    grouped = await fleet.text(openmetrics=openmetrics)
    assert fleet.groups >= 3
    ungrouped(groups=False)
    fleet.clock.now -= MAX_CACHE_TTL  # the same ages
    fleet.page._bodies._bodies.clear()
    single = await fleet.text(openmetrics=openmetrics)
    assert fleet.groups == 0
    assert list(by_family(grouped)) == list(by_family(single))
    assert by_family(grouped) == by_family(single)
    parse: Any = parse_openmetrics if openmetrics else parse_text
    found = {family.name: family for family in parse(grouped)}
    assert len(found["redis_memory_used_bytes"].samples) == 4 * GROUP_SIZE + 5
    assert ('# {stall="1"}' in grouped) == openmetrics


async def test_both_encodings_have_the_same_lines() -> None:
    fleet = Fleet(3 * GROUP_SIZE)
    plain = by_family(await fleet.text())
    fleet.clock.now -= MAX_CACHE_TTL
    assert by_family(await fleet.text(packed=True)) == plain
    assert fleet.groups
    plain_body = await fleet.page.full(openmetrics=False, gzip=False)
    packed_body = await fleet.page.full(openmetrics=False, gzip=True)
    assert plain_body.stored is packed_body.stored, "both scrapers share one page"
    assert len(packed_body.stored) == packed_body.size < plain_body.size / 3


async def test_new_samples_ages_and_pings_show_at_once() -> None:
    fleet = Fleet(3 * GROUP_SIZE)
    await fleet.text()
    fleet.clock.advance(3)
    fleet.poll("t9", 77, "db7")
    fleet.targets["t9"].operation("ping").succeeded(0.01)
    fleet.targets["t9"].breaker_changed("closed", "open")
    text = await fleet.text()
    assert 'redis_memory_used_bytes{target="t9"} 77\n' in text
    assert 'redis_memory_used_bytes{target="t9"} 1\n' not in text
    assert [line for line in text.splitlines() if line.startswith('redis_db_keys{target="t9"')] == [
        'redis_db_keys{target="t9",db="db7"} 77'
    ]
    assert 'redis_circuit_breaker_state{target="t9",state="open"} 1\n' in text
    assert 'redis_operation_duration_seconds_count{target="t9",operation="ping"} 1\n' in text
    assert 'redis_exporter_scrapes_total{target="t9"} 2\n' in text
    assert 'redis_sample_age_seconds{target="t9",collector="info"} 0.500\n' in text
    assert 'redis_sample_age_seconds{target="t8",collector="info"} 4.000\n' in text
    assert text.count("redis_sample_timestamp_seconds{") == text.count("redis_sample_age_seconds{") == 6 * GROUP_SIZE


async def test_removed_and_forgotten_and_outdated_samples_are_gone_at_once() -> None:
    fleet = Fleet(3 * GROUP_SIZE)
    await fleet.text()
    fleet.remove("t3")
    fleet.store.forget("t4", "slowlog")
    fleet.clock.advance(40)
    for name in list(fleet.targets)[10:]:
        fleet.poll(name, 2)
    assert fleet.groups
    text = await fleet.text()
    assert '"t3"' not in text
    assert 'redis_slowlog_length{target="t4"}' not in text
    assert 'redis_memory_used_bytes{target="t4"} 1\n' in text
    fleet.clock.advance(5)
    text = await fleet.text()
    assert 'redis_memory_used_bytes{target="t4"}' not in text
    assert 'redis_sample_age_seconds{target="t4",collector="info"} 46' in text
    assert text.count("\nredis_memory_used_bytes{") == len(fleet.targets) - 10
    assert 'redis_up{target="t4"}' in text


async def test_targets_that_are_scraped_apart_are_on_no_group_page() -> None:
    fleet = Fleet(3 * GROUP_SIZE)
    await fleet.text()
    fleet.metrics.scraped_apart = frozenset({"t1"})
    assert '"t1"' not in await fleet.text()
    fleet.poll("t1", 5)
    assert '"t1"' not in await fleet.text()
    alone = await fleet.text(PageFilter("t1"))
    assert 'redis_memory_used_bytes{target="t1"} 5\n' in alone
    assert 'redis_sample_age_seconds{target="t1",collector="info"}' in alone
    fleet.metrics.scraped_apart = frozenset()
    assert 'redis_memory_used_bytes{target="t1"} 5\n' in await fleet.text()


async def test_filters_select_the_same_lines_as_without_groups(ungrouped: Any) -> None:
    fleet = Fleet(3 * GROUP_SIZE)
    fleet.poll("t7", 5)
    filters = [
        PageFilter(names=frozenset({"redis_memory_used_bytes", "redis_up"})),
        PageFilter(collectors=frozenset({"slowlog"})),
        PageFilter(only="targets"),
        PageFilter(only="exporter", names=frozenset({"redis_exporter_targets"})),
        PageFilter("t7"),
        PageFilter("t8", collectors=frozenset({"info"}), names=frozenset({"redis_db_keys"})),
    ]
    grouped = [by_family(await fleet.text(one)) for one in filters]
    assert fleet.groups
    ungrouped(groups=False)
    fleet.clock.now -= MAX_CACHE_TTL * len(filters)
    single = [by_family(await fleet.text(one)) for one in filters]
    assert grouped == single
    assert not any("slowlog" in header for header in grouped[5])


async def test_targets_that_come_and_go_leave_nothing_behind() -> None:
    fleet = Fleet(2 * GROUP_SIZE)
    for number in range(6 * GROUP_SIZE):
        fleet.add(f"new{number}")
        if number >= 3 * GROUP_SIZE:
            fleet.remove(f"new{number - 3 * GROUP_SIZE}")
        if number % 10 == 0:
            text = await fleet.text()
            assert text.count("\nredis_memory_used_bytes{") == len(fleet.targets)
    groups = fleet.page._groups
    known = {*groups._loose, *groups._left, *groups._group_of}
    await fleet.text()
    assert {*groups._loose, *groups._left, *groups._group_of} == set(fleet.targets) <= known
    assert sum(len(group.members) for group in groups._groups) <= len(fleet.targets) + GROUP_SIZE
    for name in list(fleet.targets):
        fleet.remove(name)
    assert 'target="' not in await fleet.text()
    assert (len(groups), groups._loose, groups._left, groups._group_of) == (0, {}, {}, {})


async def test_groups_are_made_in_the_background_and_keep_no_text() -> None:
    """Without a scrape too. The lines of a thousand targets would take 40 MB."""
    fleet = Fleet(0)
    tasks = asyncio.all_tasks()
    for number in range(8 * GROUP_SIZE):
        fleet.add(f"t{number}")
        await asyncio.sleep(0)
    groups = fleet.page._groups
    await eventually(lambda: len(groups._loose) < MAX_LOOSE and groups._work is None)
    assert asyncio.all_tasks() == tasks
    assert len(groups) == 7
    assert sum(lines._texts is None for lines in fleet.store.all_fresh()) == 2 * 7 * GROUP_SIZE


async def test_groups_follow_the_order_of_polls_so_that_polls_break_few_of_them() -> None:
    """The first polls come in the order of the configuration, and all later ones in another order."""
    fleet = Fleet(8 * GROUP_SIZE)
    groups = fleet.page._groups
    order = {name: number * 7 % len(fleet.targets) for number, name in enumerate(fleet.targets)}
    groups.poll_order = lambda name: (15.0, order[name])
    in_order = sorted(order, key=order.__getitem__)
    await fleet.text()
    for name in in_order[: GROUP_SIZE // 2]:
        fleet.poll(name, 5)
    await fleet.text()  # nearly all groups are broken, and are made again
    made = set(groups._groups)
    for name in in_order[GROUP_SIZE // 2 : GROUP_SIZE]:
        fleet.poll(name, 6)
    text = await fleet.text()
    assert len(made - set(groups._groups)) <= 2
    assert text.count("\nredis_memory_used_bytes{") == len(order)


async def test_no_groups_are_made_while_no_page_of_all_targets_is_fetched() -> None:
    """Targets that are scraped one by one are only kept compressed. The next page of all targets has all of them."""
    fleet = Fleet(3 * GROUP_SIZE)
    fleet.clock.advance(WANTED_SECONDS)
    for name in fleet.targets:
        fleet.poll(name, 4)
        await asyncio.sleep(0)
    groups = fleet.page._groups
    await eventually(lambda: len(groups._loose) < MAX_LOOSE and groups._work is None)
    assert len(groups) == 0
    assert sum(lines._texts is None for lines in fleet.store.all_fresh()) >= 2 * 2 * GROUP_SIZE
    assert 'redis_memory_used_bytes{target="t3"} 4\n' in await fleet.text(PageFilter("t3"))
    assert len(groups) == 0
    text = await fleet.text()
    assert text.count("\nredis_memory_used_bytes{") == 3 * GROUP_SIZE
    assert len(groups) == 2


async def test_family_that_an_operator_added_is_shown_with_groups() -> None:
    fleet = Fleet(3 * GROUP_SIZE)
    spec = MetricSpec("gauge", "EVAL", "shop_orders", "shop_orders", "Orders.", labels=("queue",), prefix="")
    for name in fleet.targets:
        put(fleet.store, name, "scripts", [spec.sample(3, f"mail {name}")], 45)
    text = await fleet.text()
    assert text.count("# TYPE shop_orders gauge\n") == 1
    assert text.count("\nshop_orders{") == 3 * GROUP_SIZE
    assert "shop_orders" in fleet.page.names


async def test_cancelled_part_leaves_no_target_in_a_group_that_is_never_made() -> None:
    fleet = Fleet(0)
    clock = fleet.clock
    for number in range(4 * GROUP_SIZE):
        fleet.add(f"t{number}")
    fleet.page.turns._clock = lambda: clock.advance(0.001)  # a turn of the loop after each step
    part = asyncio.create_task(
        fleet.page.filtered(PageFilter(names=frozenset({"redis_up"})), openmetrics=False, gzip=True)
    )
    for _ in range(40):
        await asyncio.sleep(0)
    part.cancel()
    await asyncio.sleep(0.01)
    fleet.page.turns._clock = clock
    text = await fleet.text()
    assert text.count("\nredis_memory_used_bytes{") == 4 * GROUP_SIZE
    assert all(group.is_ready for group in fleet.page._groups._groups)
    assert fleet.groups == 3


async def test_samples_that_change_while_a_page_is_built_appear_once() -> None:
    fleet = Fleet(6 * GROUP_SIZE)
    clock = fleet.clock
    fleet.page.turns._clock = lambda: clock.advance(0.001)
    building = asyncio.create_task(fleet.page.full(openmetrics=False, gzip=False))
    number = 0
    while not building.done():
        number += 1
        fleet.poll(f"t{number * 7 % (6 * GROUP_SIZE)}", number)
        await asyncio.sleep(0)
    text = bytes(building.result()).decode()
    assert number > 20
    series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(series) == len(set(series))
    assert text.count("\nredis_memory_used_bytes{") == 6 * GROUP_SIZE


async def test_small_fleet_has_no_groups() -> None:
    fleet = Fleet(MIN_FLEET - 1)
    await fleet.text()
    assert fleet.groups == 0
    fleet.add("one more")
    await fleet.text()
    assert fleet.groups == 2
    fleet.remove("one more")
    text = await fleet.text()
    assert fleet.groups == 0
    assert text.count("\nredis_memory_used_bytes{") == MIN_FLEET - 1
