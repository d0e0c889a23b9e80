"""Lines of INFO with names that users choose: a name keeps its series, and the other names are summed."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.support.info_lines import (
    MAX_NAME_LENGTH,
    InfoLineCollector,
    admit_names,
    line_samples,
    named_lines,
)
from redis_pulse.collectors.support.labels import LabelLimiter
from redis_pulse.metric import CollectorItem, OverflowCount, Sample, UnreadableField, counter, usec
from redis_pulse.parse.info import Info
from redis_pulse.server_info import Server

CALLS = counter("Section", "cmd_X:calls", "things_total", "Things.", labels=("cmd",))
TIME = counter("Section", "cmd_X:usec", "thing_seconds_total", "Time.", usec, labels=("cmd",))
METRICS = {"calls": CALLS, "usec": TIME}


def all_lines(info: Info, section: str, prefix: str) -> dict[str, dict[str, str]]:
    return asyncio.run(named_lines(info, section, prefix))


def section(**lines: str) -> dict[str, dict[str, str]]:
    return all_lines({"Section": {f"cmd_{name}": text for name, text in lines.items()}}, "Section", "cmd_")


def values(items: list[CollectorItem]) -> dict[tuple[str, ...], float]:
    return {(one.metric.name, *one.labels): one.value for one in items if isinstance(one, Sample)}


def test_lines_with_the_prefix_are_read_by_name() -> None:
    info = {"Section": {"cmd_config|get": "usec=7,new=1,calls=2", "other": "calls=9"}}
    lines = all_lines(info, "Section", "cmd_")
    assert lines == {"config|get": {"usec": "7", "new": "1", "calls": "2"}}
    assert values(asyncio.run(line_samples(lines, METRICS, frozenset(lines)))) == {
        ("things_total", "config|get"): 2,
        ("thing_seconds_total", "config|get"): 7e-6,
    }
    assert all_lines({}, "Section", "cmd_") == {}


class ThingsCollector(InfoLineCollector):
    """Shows the label limiter to tests."""

    @property
    def limiter(self) -> LabelLimiter[str]:
        return self._limiter


def test_each_target_remembers_its_own_names() -> None:
    things = ThingsCollector()
    assert things.for_target().limiter is not things.limiter
    assert isinstance(things.for_target(), ThingsCollector)
    assert [things.applies(Server(mode=mode)) for mode in ("standalone", "cluster", "sentinel")] == [True, True, False]


def test_heaviest_names_have_series_and_other_names_are_summed() -> None:
    lines = section(a="calls=1,usec=10", b="calls=9,usec=20", c="calls=2,usec=30")
    admitted = admit_names(LabelLimiter[str](), lines, "calls", 1)
    items = asyncio.run(line_samples(lines, METRICS, admitted))
    assert admitted == {"b"}
    assert values(items) == {
        ("things_total", "b"): 9,
        ("thing_seconds_total", "b"): 2e-5,
        ("things_total", "overflow"): 3,
        ("thing_seconds_total", "overflow"): 4e-5,
    }
    assert [one for one in items if isinstance(one, OverflowCount)] == [OverflowCount("Section/cmd_X:calls", 2)]


def test_name_keeps_its_series_when_another_grows_heavier() -> None:
    """Therefore no counter goes down, neither that of a name nor the sum of the others."""
    limiter = LabelLimiter[str]()
    assert admit_names(limiter, section(a="calls=5", b="calls=4"), "calls", 1) == {"a"}
    assert admit_names(limiter, section(a="calls=5", b="calls=9", c="calls=99"), "calls", 1) == {"a"}


def test_weight_that_is_not_a_number_counts_as_zero() -> None:
    lines = section(a="calls=x", b="calls=1", c="usec=7", d="calls=-9")
    assert admit_names(LabelLimiter[str](), lines, "calls", 1) == {"b"}


def test_name_that_is_too_long_or_called_overflow_has_no_series() -> None:
    lines = section(**{"x" * (MAX_NAME_LENGTH + 1): "calls=1", "overflow": "calls=2", "a": "calls=3"})
    admitted = admit_names(LabelLimiter[str](), lines, "calls", 10)
    assert admitted == {"a"}
    assert values(asyncio.run(line_samples(lines, METRICS, admitted))) == {
        ("things_total", "a"): 3,
        ("things_total", "overflow"): 3,
    }


def test_bad_number_loses_only_its_own_sample() -> None:
    lines = section(a="calls=x,usec=1", b="usec=2", c="calls=3", d="calls=")
    items = asyncio.run(line_samples(lines, METRICS, frozenset(lines)))
    assert values(items) == {
        ("thing_seconds_total", "a"): 1e-6,
        ("thing_seconds_total", "b"): 2e-6,
        ("things_total", "c"): 3,
    }
    assert [one for one in items if isinstance(one, UnreadableField)] == [UnreadableField("Section/cmd_X:calls")] * 2


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=12)), st.integers(0, 3))
def test_any_text_keeps_the_limit_of_names(calls: dict[str, str], limit: int) -> None:
    lines = all_lines({"Section": {f"cmd_{name}": f"calls={text}" for name, text in calls.items()}}, "Section", "cmd_")
    admitted = admit_names(LabelLimiter[str](), lines, "calls", limit)
    items = asyncio.run(line_samples(lines, METRICS, admitted))
    assert len(admitted) <= limit
    assert len(values(items)) == sum(isinstance(one, Sample) for one in items) <= limit + 1
