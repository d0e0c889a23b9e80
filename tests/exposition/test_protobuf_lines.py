"""Tests of lines that become metrics of protobuf."""

import math

from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.exposition.protobuf_lines import encode_lines, encode_steps
from redis_pulse.exposition.rendering import render
from redis_pulse.metric import counter, gauge, gauge_histogram, histogram, summary
from redis_pulse.text_format import escape_label_value
from tests.protobuf_reader import Series, message

KEYS = gauge("Keyspace", "keys", "db_keys", "Keys of a database.", labels=("db", "kind"))
EVICTED = counter("Stats", "evicted_keys", "evicted_keys_total", "Evicted keys.")
LATENCY = histogram("x", "y", "latency_seconds", "Latency.", labels=("cmd",))
PERCENTILES = summary("x", "y", "latency_usec", "Latency.", labels=("cmd",), is_percent=True)
SIZES = gauge_histogram("x", "y", "key_size_bytes", "Sizes.", labels=("type",))
TARGET = 'a"b\\c\nd,}'


def series(encoded: bytes) -> list[Series]:
    return [Series(message(one)) for one in message(encoded).get(4, [])]


def lines(*samples: object) -> dict[str, bytes]:
    texts = render(TARGET, samples)  # type: ignore[arg-type]
    joined: dict[str, bytes] = {}
    for spec, text in texts.items():
        joined[spec.full_name] = joined.get(spec.full_name, b"") + text
    return joined


@given(st.text(max_size=40), st.text(max_size=40), st.floats())
def test_labels_and_values_are_those_of_the_line(db: str, kind: str, value: float) -> None:
    """The text page escapes and cuts labels, and protobuf has the same values."""
    [text] = lines(KEYS.sample(value, db, kind)).values()
    [one] = series(encode_lines("gauge", KEYS.full_name, TARGET, text))
    shown = {"target": TARGET, "db": db, "kind": kind}
    for name, label in shown.items():
        escaped = escape_label_value(label)
        unescaped = one.labels[name].replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
        assert unescaped == escaped
    assert one.value == value or (math.isnan(value) and math.isnan(one.value))
    assert one.kind == 2


def test_counter_is_a_counter() -> None:
    [text] = lines(EVICTED.sample(7)).values()
    [one] = series(encode_lines("counter", EVICTED.full_name, TARGET, text))
    assert (one.kind, one.value, one.labels) == (3, 7.0, {"target": TARGET})


def test_histogram_has_its_buckets_without_infinity() -> None:
    """As in client_golang: readers take the count for the bucket +Inf."""
    samples = LATENCY.distribution([("0.001", 3), ("0.5", 4)], 2.5, 5, 'get,le="1"')
    [text] = lines(*samples, *LATENCY.distribution([("0.001", 0)], 0, 1, "set")).values()
    get, put = series(encode_lines("histogram", LATENCY.full_name, TARGET, text))
    assert get.labels == {"target": TARGET, "cmd": 'get,le="1"'}
    assert (get.number(1), get.number(2), get.buckets) == (5, 2.5, {0.001: 3, 0.5: 4})
    assert (put.number(1), put.number(2), put.buckets) == (1, 0.0, {0.001: 0})


def test_histogram_whose_sum_is_unknown_has_none() -> None:
    text = b'redis_latency_seconds_bucket{target="a",cmd="get",le="0.5"} 4\n'
    text += b'redis_latency_seconds_bucket{target="a",cmd="get",le="+Inf"} 6\n'
    [one] = series(encode_lines("histogram", "redis_latency_seconds", "a", text))
    assert (one.number(1), one.buckets) == (6, {0.5: 4})
    assert math.isnan(one.number(2))


def test_summary_has_its_parts_in_one_family() -> None:
    [text] = lines(*PERCENTILES.distribution([("50", 3.5), ("99.9", 8)], 2.5, 5, "get")).values()
    [one] = series(encode_lines("summary", PERCENTILES.full_name, TARGET, text))
    assert (one.kind, one.number(1), one.number(2), one.buckets) == (4, 5, 2.5, {50.0: 3.5, 99.9: 8.0})


def test_gauge_histogram_is_the_gauges_of_the_text_format() -> None:
    [text] = lines(*SIZES.census([("4", 2)], 7, "string")).values()
    found = series(encode_lines("gaugehistogram", SIZES.full_name, TARGET, text))
    assert [(one.labels["le"], one.value) for one in found] == [("4", 2.0), ("+Inf", 7.0)]


def test_exemplar_is_that_of_its_bucket() -> None:
    text = b'x_bucket{target="a # {b",le="0.5"} 4 # {stall_id="7"} 0.25 1700000000.500\nx_count{target="a # {b"} 5\n'
    [one] = series(encode_lines("histogram", "x", "a # {b", text + b'x_sum{target="a # {b"} 2.5\n'))
    [bucket] = [message(field) for field in one.content[3]]
    exemplar = message(bucket[3][0])
    assert message(exemplar[1][0]) == {1: [b"stall_id"], 2: [b"7"]}
    assert exemplar[2] == [0.25]
    assert message(exemplar[3][0]) == {1: [1_700_000_000], 2: [500_000_000]}


def test_long_text_is_encoded_in_short_steps() -> None:
    """A server with 5000 commands has 130 000 lines. The event loop must not wait for all of them."""
    samples = [one for cmd in range(500) for one in LATENCY.distribution([("0.001", cmd)], 1, cmd, f"command-{cmd}")]
    [text] = lines(*samples).values()
    steps = encode_steps("histogram", LATENCY.full_name, TARGET, text)
    pauses = 0
    while True:
        try:
            next(steps)
            pauses += 1
        except StopIteration as end:
            found = series(end.value)
            break
    assert pauses >= len(text) // 20_000
    assert [one.buckets[0.001] for one in found] == list(range(500))
    [many] = lines(*[KEYS.sample(number, str(number), "") for number in range(2000)]).values()
    assert sum(1 for _ in encode_steps("gauge", KEYS.full_name, TARGET, many)) >= len(many) // 20_000
    assert len(series(encode_lines("gauge", KEYS.full_name, TARGET, many))) == 2000
