"""The store keeps the newest samples, serves them while they are fresh, and forgets them whole."""

from collections.abc import Iterable

from redis_pulse.metric import MetricSpec, Sample, gauge
from redis_pulse.sample_store import SampleStore
from tests.fakes import ManualClock

ROW = gauge("S", "f", "x", "X.")


def render(target: str, samples: Iterable[Sample]) -> dict[MetricSpec, bytes]:
    return {sample.metric: f"{target} {sample.value}".encode() for sample in samples}


def made() -> tuple[SampleStore, ManualClock]:
    clock = ManualClock()
    return SampleStore(render, clock), clock


def test_what_is_put_replaces_what_was_there_before() -> None:
    store, _ = made()
    store.put("t", "info", [ROW.sample(1)], 45)
    store.put("t", "info", [ROW.sample(2)], 45)
    assert store.all_fresh() == [{ROW: b"t 2"}]
    assert store.fresh("t", "info") == {ROW: b"t 2"}


def test_samples_older_than_their_max_age_are_not_served_but_still_have_an_age() -> None:
    store, clock = made()
    store.put("t", "info", [ROW.sample(1)], 45)
    clock.advance(45)
    assert store.all_fresh()
    clock.advance(0.1)
    assert store.all_fresh() == []
    assert store.fresh("t", "info") is None
    assert [(age.target, age.collector, round(age.seconds, 3)) for age in store.ages()] == [("t", "info", 45.1)]
    assert store.age("t", "info") == clock() - 1000


def test_each_entry_has_a_max_age_of_its_own() -> None:
    store, clock = made()
    store.put("fast", "info", [ROW.sample(1)], 3)
    store.put("slow", "info", [ROW.sample(2)], 300)
    clock.advance(4)
    assert store.all_fresh() == [{ROW: b"slow 2"}]


def test_a_target_is_forgotten_whole_and_a_collector_alone() -> None:
    store, _ = made()
    for target in ("a", "b"):
        for collector in ("info", "slowlog"):
            store.put(target, collector, [ROW.sample(1)], 45)
    store.forget("a")
    store.forget("b", "slowlog")
    assert [(age.target, age.collector) for age in store.ages()] == [("b", "info")]
    assert store.age("a", "info") is None
    assert store.fresh("a", "info") is None


def test_targets_on_which_the_same_rows_were_found_share_the_list_of_them() -> None:
    store, _ = made()
    other = gauge("S", "g", "y", "Y.")
    store.put("a", "info", [ROW.sample(1), other.sample(2)], 45)
    store.put("b", "info", [ROW.sample(3), other.sample(4)], 45)
    store.put("c", "info", [other.sample(5)], 45)
    a, b, c = store.all_fresh()
    assert a.layout is b.layout
    assert (list(c), len(c), c.get(ROW)) == ([other], 1, None)


def test_a_value_can_be_read_back_by_the_name_of_its_row() -> None:
    store, _ = made()
    store.put("a", "info", [ROW.sample(1.5)], 45)
    found = store.fresh("a", "info")
    assert found is not None
    assert found.value("redis_x") == 1.5
    assert found.value("redis_nothing") is None
