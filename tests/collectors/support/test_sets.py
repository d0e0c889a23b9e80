"""A configuration may name sets of collectors. They are imported only for the set that needs them."""

from collections.abc import Mapping

import pytest

from redis_pulse.collectors import Collector, load
from redis_pulse.collectors.support.sets import CollectorSets


def test_sets_name_existing_collectors() -> None:
    sets = CollectorSets(load)
    assert list(sets) == ["default", "lean"]
    assert len(sets) == 2
    for members in sets.values():
        assert "info" in members
        assert set(members) <= set(load())
    with pytest.raises(KeyError):
        sets["all"]


def test_lean_set_loads_no_collector() -> None:
    def fail() -> Mapping[str, Collector]:
        raise AssertionError("the collectors were imported")

    assert "info" in CollectorSets(fail)["lean"]
