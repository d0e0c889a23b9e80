"""Metric definitions are checked when they are created, and read the text of a server without an exception."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.metric import (
    MetricSpec,
    Sample,
    UnreadableField,
    counter,
    gauge,
    gauge_histogram,
    histogram,
    is_underflow,
    msec,
    parse_number,
    summary,
    usec,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("42", 42),
        ("-1", -1),
        ("+3", 3),
        ("0.015996", 0.015996),
        ("1.", 1),
        (".5", 0.5),
        ("1e3", 1000),
        ("98.05%", 98.05),
        ("1795380024947908", 1795380024947908),
        ("9223372036854775807", 2.0**63),
        ("ok", 1),
        ("true", 1),
        ("OK", 1),
        ("err", 0),
        ("fail", 0),
        ("false", 0),
    ],
)
def test_number_is_read_as_the_server_writes_it(text: str, value: float) -> None:
    assert parse_number(text) == value


@pytest.mark.parametrize(
    "text",
    [
        *(
            "nan",
            "-nan",
            "inf",
            "-inf",
            "Infinity",
            "1e999",
            "9" * 400,
            "1_000",
            "0x10",
            "1,5",
            "1 ",
            "\n1",
            "1\n",
            "--1",
        ),
        *("--1", "1.39M", "٣", "1٣", "²", "%", "5%%", ".", "e5", "yes", "up", "none", "1e", "\x00"),
    ],
)
def test_text_that_is_no_finite_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        parse_number(text)


def test_empty_field_has_no_value() -> None:
    assert parse_number("") is usec("") is msec("") is None


def test_units_become_seconds() -> None:
    assert usec("1500000") == 1.5
    assert msec("1500") == 1.5


@given(st.text() | st.floats().map(repr) | st.integers().map(str))
def test_any_text_is_a_finite_number_or_refused(text: str) -> None:
    try:
        value = parse_number(text)
    except ValueError:
        return
    assert value is None or math.isfinite(value)


@given(
    st.integers().filter(lambda value: not 2**63 <= value < 2**64) | st.floats(allow_nan=False, allow_infinity=False)
)
def test_every_number_that_python_writes_is_read_back(value: float) -> None:
    if math.isfinite(float(value)):
        assert parse_number(str(value)) == float(value)


def test_definition_has_a_full_name_and_a_location() -> None:
    spec = gauge("Memory", "used_memory", "memory_used_bytes", "Bytes allocated by the server.")
    assert (spec.kind, spec.full_name, spec.location) == ("gauge", "redis_memory_used_bytes", "Memory/used_memory")
    assert counter("Stats", "x", "x_total", "X.").kind == "counter"


@pytest.mark.parametrize(
    ("name", "text", "labels", "error"),
    [
        ("Memory", "Help.", (), "lower_snake_case"),
        ("memory-used", "Help.", (), "lower_snake_case"),
        ("1st", "Help.", (), "lower_snake_case"),
        ("redis_memory", "Help.", (), "omit the prefix"),
        ("memory", "Help", (), "ends with a full stop"),
        ("memory", "", (), "one sentence"),
        ("memory", "Two\nlines.", (), "one sentence"),
        ("memory", "Help.", ("a-b",), "bad label 'a-b'"),
        ("memory", "Help.", ("",), "bad label ''"),
        ("memory", "Help.", ("target",), "bad label 'target'"),
        ("memory", "Help.", ("quantile",), "bad label 'quantile'"),
        ("memory", "Help.", ("db", "db"), "duplicate label"),
    ],
)
def test_malformed_definition_is_refused_when_it_is_created(
    name: str, text: str, labels: tuple[str, ...], error: str
) -> None:
    with pytest.raises(ValueError, match=error) as refused:
        gauge("Memory", "used_memory", name, text, labels=labels)
    assert str(refused.value).startswith(f"metric Memory/used_memory -> {name!r}: ")


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown kind 'summery'"):
        MetricSpec("summery", "Memory", "used_memory", "memory", "Help.")  # type: ignore[arg-type]


DB = gauge("Keyspace", "dbN:avg_ttl", "db_avg_ttl_seconds", "Mean TTL.", msec, labels=("db",))


def test_sample_has_as_many_labels_as_its_definition() -> None:
    assert DB.sample(1.5, "db0") == Sample(DB, ("db0",), 1.5)
    for labels in ((), ("db0", "db1")):
        with pytest.raises(ValueError, match="redis_db_avg_ttl_seconds takes labels"):
            DB.sample(1.5, *labels)


def test_definition_parses_any_text_without_an_exception() -> None:
    assert DB.parse("1500", "db0") == Sample(DB, ("db0",), 1.5)
    assert DB.parse("", "db0") is None
    assert DB.parse("soon", "db0") == UnreadableField("Keyspace/dbN:avg_ttl")


def test_missing_number_is_an_unreadable_field() -> None:
    assert DB.sample_or_unreadable(2, "db0") == Sample(DB, ("db0",), 2.0)
    assert isinstance(DB.sample_or_unreadable(2, "db0"), Sample)
    assert DB.sample_or_unreadable(None, "db0") == UnreadableField("Keyspace/dbN:avg_ttl")


def test_definitions_are_compared_by_identity() -> None:
    """They are keys of dicts in every poll, and only one definition may have a name."""
    twin = gauge("Keyspace", "dbN:avg_ttl", "db_avg_ttl_seconds", "Mean TTL.", msec, labels=("db",))
    assert twin != DB
    assert len({twin, DB}) == 2


def test_histogram_has_cumulative_buckets_a_sum_and_a_count() -> None:
    spec = histogram("LATENCY HISTOGRAM", "x", "x_seconds", "X.", labels=("cmd",))
    samples = spec.distribution([("0.001", 2), ("0.002", 3)], 0.005, 4, "get")
    assert [(sample.suffix, sample.edge, sample.value) for sample in samples] == [
        ("_bucket", "0.001", 2),
        ("_bucket", "0.002", 3),
        ("_bucket", "+Inf", 4),
        ("_sum", "", 0.005),
        ("_count", "", 4),
    ]
    assert {sample.labels for sample in samples} == {("get",)}


def test_summary_has_quantiles_a_sum_and_a_count() -> None:
    spec = summary("Latencystats", "x", "x_seconds", "X.")
    samples = spec.distribution([("0.5", 0.1)], 3.0, 7)
    assert [(sample.suffix, sample.edge, sample.value) for sample in samples] == [
        ("", "0.5", 0.1),
        ("_sum", "", 3.0),
        ("_count", "", 7),
    ]


def test_census_has_cumulative_buckets_and_no_sum() -> None:
    """The sum of all sizes is not known, and OpenMetrics allows no count without a sum."""
    spec = gauge_histogram("Keysizes", "x", "sizes", "X.", labels=("db",))
    samples = spec.census([("1", 2), ("3", 5)], 6, "db0")
    assert [(sample.suffix, sample.edge, sample.value) for sample in samples] == [
        ("_bucket", "1", 2),
        ("_bucket", "3", 5),
        ("_bucket", "+Inf", 6),
    ]
    with pytest.raises(ValueError, match="is a gaugehistogram"):
        spec.distribution([], 0, 0, "db0")
    with pytest.raises(ValueError, match="is a gauge"):
        DB.census([], 0, "db0")


def test_gauge_has_no_distribution() -> None:
    with pytest.raises(ValueError, match="is a gauge"):
        DB.distribution([], 0, 0, "db0")


def test_counter_below_zero_is_unreadable() -> None:
    spec = counter("Stats", "expired_keys", "expired_keys_total", "Keys that expired.")
    assert spec.parse("-2") == UnreadableField("Stats/expired_keys")
    assert spec.sample_or_unreadable(-1) == UnreadableField("Stats/expired_keys")
    assert gauge("Stats", "offset", "offset", "An offset.").parse("-1") is not None


@pytest.mark.parametrize("text", ["18446744073709525176", "9223372036854775808", str(2**64 - 1)])
def test_underflow_of_an_unsigned_number_is_unreadable(text: str) -> None:
    """An idle Redis 8.2 writes 18446744073709525176 for the bytes of its dataset, and means -26440."""
    assert is_underflow(text)
    assert gauge("Memory", "x", "x_bytes", "X.").parse(text) == UnreadableField("Memory/x")
    assert counter("Stats", "x", "x_total", "X.").parse(text) == UnreadableField("Stats/x")


def test_field_without_a_value_has_no_sample() -> None:
    """Garnet writes N/A, KeyDB unavailable, and Dragonfly -1 for a counter that it does not count."""
    assert gauge("Replication", "x", "x", "X.").parse("N/A") is None
    assert gauge("Memory", "x", "x", "X.").parse("unavailable") is None
    assert counter("Stats", "x", "x_total", "X.").parse("-1") is None


def test_distribution_with_a_wrong_number_of_labels_is_refused() -> None:
    spec = histogram("LATENCY HISTOGRAM", "x", "x_seconds", "X.", labels=("cmd",))
    with pytest.raises(ValueError, match="takes labels"):
        spec.distribution([], 0, 0)
