"""Lines whose names others choose: who has series of its own keeps them, and the rest adds up."""

from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.support.info_lines import (
    MAX_LENGTH,
    InfoLineCollector,
    admit_names,
    line_samples,
    named_lines,
)
from redis_pulse.collectors.support.labels import LabelLimiter
from redis_pulse.metric import CollectorItem, OverflowCount, Sample, UnreadableField, counter, usec
from redis_pulse.server_info import Server

CALLS = counter("Section", "cmd_X:calls", "things_total", "Things.", labels=("cmd",))
TIME = counter("Section", "cmd_X:usec", "thing_seconds_total", "Time.", usec, labels=("cmd",))
ROWS = {"calls": CALLS, "usec": TIME}


def lines(**calls: str) -> dict[str, dict[str, str]]:
    return named_lines({"Section": {f"cmd_{name}": text for name, text in calls.items()}}, "Section", "cmd_")


def values(found: list[CollectorItem]) -> dict[tuple[str, ...], float]:
    return {(one.metric.name, *one.labels): one.value for one in found if isinstance(one, Sample)}


def test_lines_are_told_by_their_prefix_and_read_by_name() -> None:
    info = {"Section": {"cmd_config|get": "usec=7,new=1,calls=2", "other": "calls=9"}}
    keyed = named_lines(info, "Section", "cmd_")
    assert keyed == {"config|get": {"usec": "7", "new": "1", "calls": "2"}}
    assert values(list(line_samples(keyed, ROWS, frozenset(keyed)))) == {
        ("things_total", "config|get"): 2,
        ("thing_seconds_total", "config|get"): 7e-6,
    }
    assert named_lines({}, "Section", "cmd_") == {}


class Things(InfoLineCollector):
    """The names of a target."""

    @property
    def places(self) -> LabelLimiter[str]:
        return self._places


def test_each_target_remembers_its_own_names() -> None:
    things = Things()
    assert things.for_target().places is not things.places
    assert isinstance(things.for_target(), Things)
    assert [things.applies(Server(mode=mode)) for mode in ("standalone", "cluster", "sentinel")] == [True, True, False]


def test_the_heaviest_have_series_of_their_own_and_the_rest_adds_up() -> None:
    keyed = lines(a="calls=1,usec=10", b="calls=9,usec=20", c="calls=2,usec=30")
    own = admit_names(LabelLimiter[str](), keyed, "calls", 1)
    found = list(line_samples(keyed, ROWS, own))
    assert own == {"b"}
    assert values(found) == {
        ("things_total", "b"): 9,
        ("thing_seconds_total", "b"): 2e-5,
        ("things_total", "overflow"): 3,
        ("thing_seconds_total", "overflow"): 4e-5,
    }
    assert [one for one in found if isinstance(one, OverflowCount)] == [OverflowCount("Section/cmd_X:calls", 2)]


def test_who_has_series_keeps_them_though_another_grows_heavier() -> None:
    """So no counter goes down: neither a name's own nor that of the rest."""
    places = LabelLimiter[str]()
    assert admit_names(places, lines(a="calls=5", b="calls=4"), "calls", 1) == {"a"}
    assert admit_names(places, lines(a="calls=5", b="calls=9", c="calls=99"), "calls", 1) == {"a"}


def test_a_name_that_is_too_long_or_the_rests_own_has_no_series() -> None:
    keyed = lines(**{"x" * (MAX_LENGTH + 1): "calls=1", "overflow": "calls=2", "a": "calls=3"})
    own = admit_names(LabelLimiter[str](), keyed, "calls", 10)
    assert own == {"a"}
    assert values(list(line_samples(keyed, ROWS, own))) == {("things_total", "a"): 3, ("things_total", "overflow"): 3}


def test_a_bad_number_costs_its_own_sample_only() -> None:
    keyed = lines(a="calls=x,usec=1", b="usec=2", c="calls=3", d="calls=")
    found = list(line_samples(keyed, ROWS, frozenset(keyed)))
    assert values(found) == {
        ("thing_seconds_total", "a"): 1e-6,
        ("thing_seconds_total", "b"): 2e-6,
        ("things_total", "c"): 3,
    }
    assert [one for one in found if isinstance(one, UnreadableField)] == [UnreadableField("Section/cmd_X:calls")] * 2


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=12)), st.integers(0, 3))
def test_no_line_breaks_it(calls: dict[str, str], most: int) -> None:
    keyed = named_lines(
        {"Section": {f"cmd_{name}": f"calls={text}" for name, text in calls.items()}}, "Section", "cmd_"
    )
    own = admit_names(LabelLimiter[str](), keyed, "calls", most)
    found = list(line_samples(keyed, ROWS, own))
    assert len(own) <= most
    assert len(values(found)) == sum(isinstance(one, Sample) for one in found) <= most + 1
