"""The store keeps the newest samples, serves them while they are fresh, and drops them as a whole."""

import asyncio
from collections.abc import Generator, Iterable, Mapping

from redis_pulse import exposition
from redis_pulse.metric import MetricSpec, Sample, WrittenLines, gauge
from redis_pulse.sample_store import RenderedSamples, RowLayout, SampleStore
from tests.fakes import ManualClock
from tests.harness import put

SPEC = gauge("S", "f", "x", "X.")


def render_steps(
    target: str, samples: Iterable[Sample | WrittenLines]
) -> Generator[None, None, Mapping[MetricSpec, bytes]]:
    yield
    return {one.metric: f"{target} {one.value}".encode() for one in samples if isinstance(one, Sample)}


def store_and_clock() -> tuple[SampleStore, ManualClock]:
    clock = ManualClock()
    return SampleStore(render_steps, clock), clock


def test_new_samples_replace_the_old_ones() -> None:
    store, _ = store_and_clock()
    put(store, "t", "info", [SPEC.sample(1)], 45)
    put(store, "t", "info", [SPEC.sample(2)], 45)
    assert store.all_fresh() == [{SPEC: b"t 2"}]
    assert store.fresh("t", "info") == {SPEC: b"t 2"}


def test_samples_older_than_max_age_are_not_served_but_have_an_age() -> None:
    store, clock = store_and_clock()
    put(store, "t", "info", [SPEC.sample(1)], 45)
    clock.advance(45)
    assert store.all_fresh()
    clock.advance(0.1)
    assert store.all_fresh() == []
    assert store.fresh("t", "info") is None
    assert [(age.target, age.collector, round(age.seconds, 3)) for age in store.ages()] == [("t", "info", 45.1)]
    assert store.age("t", "info") == clock() - 1000


def test_each_entry_has_its_own_max_age() -> None:
    store, clock = store_and_clock()
    put(store, "fast", "info", [SPEC.sample(1)], 3)
    put(store, "slow", "info", [SPEC.sample(2)], 300)
    clock.advance(4)
    assert store.all_fresh() == [{SPEC: b"slow 2"}]


def test_target_or_single_collector_is_forgotten() -> None:
    store, _ = store_and_clock()
    for target in ("a", "b"):
        for collector in ("info", "slowlog"):
            put(store, target, collector, [SPEC.sample(1)], 45)
    store.forget("a")
    store.forget("b", "slowlog")
    assert [(age.target, age.collector) for age in store.ages()] == [("b", "info")]
    assert store.age("a", "info") is None
    assert store.fresh("a", "info") is None


def test_targets_with_the_same_metrics_share_a_layout() -> None:
    store, _ = store_and_clock()
    other = gauge("S", "g", "y", "Y.")
    put(store, "a", "info", [SPEC.sample(1), other.sample(2)], 45)
    put(store, "b", "info", [SPEC.sample(3), other.sample(4)], 45)
    put(store, "c", "info", [other.sample(5)], 45)
    a, b, c = store.all_fresh()
    assert a.layout is b.layout
    assert (list(c), len(c), c.get(SPEC)) == ([other], 1, None)


def test_value_is_read_back_by_the_name_of_its_metric() -> None:
    store, _ = store_and_clock()
    put(store, "a", "info", [SPEC.sample(1.5)], 45)
    samples = store.fresh("a", "info")
    assert samples is not None
    assert samples.value("redis_x") == 1.5
    assert samples.value("redis_nothing") is None


async def test_long_list_of_samples_is_rendered_in_slices() -> None:
    """2000 samples with long labels held the event loop for 15 ms."""
    metric = gauge("S", "f", "y", "Y.", labels=("name",))
    store = SampleStore(exposition.render_steps, ManualClock())
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    lines = await store.render("t", [metric.sample(1, f"{number} {'x' * 4000}") for number in range(2000)])
    counting.cancel()
    assert turns >= 20
    assert lines[metric].count(b"\n") == 2000


def test_packed_samples_are_read_as_before() -> None:
    store, _ = store_and_clock()
    other = gauge("S", "g", "y", "Y.", labels=("name",))
    lines = {SPEC: b"redis_x 1.5\n", other: b'redis_y{name="a"} 2\nredis_y{name="b"} 3\n'}
    before = RenderedSamples(RowLayout(lines), tuple(lines.values()))
    store.put("a", "info", before, 45)
    list(store.pack("a"))
    list(store.pack("nobody"))
    for samples in (store.fresh("a", "info"), store.fresh_by_collector("a")["info"]):
        assert samples is not None
        assert dict(samples) == lines
        assert samples.texts == tuple(lines.values())
        assert (len(samples), samples.value("redis_x"), samples.value("redis_z")) == (2, 1.5, None)
        assert (samples.text("redis_y"), samples.text("redis_z")) == (lines[other], b"")
        assert samples.numbers("redis_y") == [2, 3]
        samples.pack()
        assert samples.reader().reader().texts == tuple(lines.values())


def test_change_is_told_only_when_something_changed() -> None:
    store, clock = store_and_clock()
    changed: list[str] = []
    store.on_change = changed.append
    put(store, "a", "info", [SPEC.sample(1)], 45)
    store.forget("a", "slowlog")
    store.forget("b")
    store.forget("b", "info")
    assert changed == ["a"]
    assert ("a" in store, "b" in store, store.fresh_until("a")) == (True, False, clock() + 45)
    store.forget("a", "info")
    store.forget("a")
    assert changed == ["a", "a", "a"]
    assert store.fresh_until("a") == float("inf")


def test_times_of_polls_are_those_of_the_wall_clock() -> None:
    clock, wall = ManualClock(), ManualClock(1795380000.0)
    store = SampleStore(render_steps, clock, wall=wall)
    put(store, "a", "info", [SPEC.sample(1)], 45)
    clock.advance(2)
    wall.advance(2)
    put(store, "a", "slowlog", [SPEC.sample(1)], 45)
    clock.advance(1)
    wall.advance(60)  # a step of the wall clock changes no age
    assert list(store.times()) == list(store.times("a"))
    assert list(store.times()) == [("a", ("info", "slowlog"), [3, 1], [1795380000.0, 1795380002.0])]
    assert list(store.times("b")) == []
