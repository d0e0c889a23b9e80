"""The store keeps the newest samples, serves them while they are fresh, and drops them as a whole."""

from collections.abc import Iterable

from redis_pulse.metric import MetricSpec, Sample, gauge
from redis_pulse.sample_store import SampleStore
from tests.fakes import ManualClock

SPEC = gauge("S", "f", "x", "X.")


def render(target: str, samples: Iterable[Sample]) -> dict[MetricSpec, bytes]:
    return {sample.metric: f"{target} {sample.value}".encode() for sample in samples}


def store_and_clock() -> tuple[SampleStore, ManualClock]:
    clock = ManualClock()
    return SampleStore(render, clock), clock


def test_new_samples_replace_the_old_ones() -> None:
    store, _ = store_and_clock()
    store.put("t", "info", [SPEC.sample(1)], 45)
    store.put("t", "info", [SPEC.sample(2)], 45)
    assert store.all_fresh() == [{SPEC: b"t 2"}]
    assert store.fresh("t", "info") == {SPEC: b"t 2"}


def test_samples_older_than_max_age_are_not_served_but_have_an_age() -> None:
    store, clock = store_and_clock()
    store.put("t", "info", [SPEC.sample(1)], 45)
    clock.advance(45)
    assert store.all_fresh()
    clock.advance(0.1)
    assert store.all_fresh() == []
    assert store.fresh("t", "info") is None
    assert [(age.target, age.collector, round(age.seconds, 3)) for age in store.ages()] == [("t", "info", 45.1)]
    assert store.age("t", "info") == clock() - 1000


def test_each_entry_has_its_own_max_age() -> None:
    store, clock = store_and_clock()
    store.put("fast", "info", [SPEC.sample(1)], 3)
    store.put("slow", "info", [SPEC.sample(2)], 300)
    clock.advance(4)
    assert store.all_fresh() == [{SPEC: b"slow 2"}]


def test_target_or_single_collector_is_forgotten() -> None:
    store, _ = store_and_clock()
    for target in ("a", "b"):
        for collector in ("info", "slowlog"):
            store.put(target, collector, [SPEC.sample(1)], 45)
    store.forget("a")
    store.forget("b", "slowlog")
    assert [(age.target, age.collector) for age in store.ages()] == [("b", "info")]
    assert store.age("a", "info") is None
    assert store.fresh("a", "info") is None


def test_targets_with_the_same_metrics_share_a_layout() -> None:
    store, _ = store_and_clock()
    other = gauge("S", "g", "y", "Y.")
    store.put("a", "info", [SPEC.sample(1), other.sample(2)], 45)
    store.put("b", "info", [SPEC.sample(3), other.sample(4)], 45)
    store.put("c", "info", [other.sample(5)], 45)
    a, b, c = store.all_fresh()
    assert a.layout is b.layout
    assert (list(c), len(c), c.get(SPEC)) == ([other], 1, None)


def test_value_is_read_back_by_the_name_of_its_metric() -> None:
    store, _ = store_and_clock()
    store.put("a", "info", [SPEC.sample(1.5)], 45)
    samples = store.fresh("a", "info")
    assert samples is not None
    assert samples.value("redis_x") == 1.5
    assert samples.value("redis_nothing") is None
