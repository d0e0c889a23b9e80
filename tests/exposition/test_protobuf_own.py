"""Tests of the exporter's own metrics in protobuf."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from redis_pulse.exposition.protobuf_own import OwnKey, ProtobufOfTargets, encode_own
from redis_pulse.telemetry import ExporterMetrics, TargetMetrics
from redis_pulse.telemetry.families import DURATION, FAILURES, OPERATIONS, TARGET_FAMILIES, UP
from tests.protobuf_reader import Series, families, message


def make(*, is_native: bool = True, with_classic: bool = True) -> tuple[ProtobufOfTargets, TargetMetrics]:
    metrics = ExporterMetrics("x")
    metrics.has_native_histograms = is_native
    target = metrics.add_target("a", ["ping", "connect"], buckets=(0.001, 0.1), address="a:1", labels={"team": "x"})
    return ProtobufOfTargets(metrics, with_classic=with_classic), target


def series(encoded: bytes) -> dict[str, Series]:
    """Return the metrics by operation."""
    found = [Series(message(one)) for one in message(encoded).get(4, [])]
    return {one.labels.get("operation", ""): one for one in found}


def test_duration_is_a_classic_and_a_native_histogram() -> None:
    own, target = make()
    for seconds in (0.0005, 0.05, 3.0):
        target.operation("ping").succeeded(seconds)
    encoded = own.of_target("a", TARGET_FAMILIES)
    classic, native = (series(encoded[DURATION, is_native]) for is_native in (False, True))
    assert classic.keys() == native.keys() == {"ping", "connect"}
    assert classic["ping"].buckets == {0.001: 1, 0.1: 2}
    assert native["ping"].buckets == {}
    assert sum(native["ping"].native.values()) == classic["ping"].number(1) == 3
    assert native["connect"].native == {}
    assert 6 in native["connect"].content, "without a zero threshold Prometheus takes it for a classic one"
    assert native["ping"].content[15] == classic["ping"].content[15], "the creation time"
    assert series(encoded[OPERATIONS, False])["ping"].labels == {"target": "a", "operation": "ping"}


def test_operator_chooses_one_of_both() -> None:
    own, target = make(with_classic=False)
    target.operation("ping").succeeded(0.5)
    encoded = own.of_target("a", TARGET_FAMILIES)
    assert (encoded[DURATION, False], series(encoded[DURATION, True])["ping"].number(1)) == (b"", 1)
    own, target = make(is_native=False)
    target.operation("ping").succeeded(0.5)
    encoded = own.of_target("a", TARGET_FAMILIES)
    assert (encoded[DURATION, True], series(encoded[DURATION, False])["ping"].number(1)) == (b"", 1)


def test_exemplar_of_a_stall_is_on_both() -> None:
    own, target = make()
    target.operation("ping").succeeded(0.05)
    target.histogram(DURATION, "ping").set_exemplar('stall_id="7"', 0.05, 1700000000.5)
    encoded = own.of_target("a", TARGET_FAMILIES)
    [exemplar] = [message(one) for one in series(encoded[DURATION, True])["ping"].content[16]]
    buckets = [message(one) for one in series(encoded[DURATION, False])["ping"].content[3]]
    assert [3 in bucket for bucket in buckets] == [False, True]
    assert message(buckets[1][3][0]) == exemplar
    assert message(exemplar[1][0]) == {1: [b"stall_id"], 2: [b"7"]}


def test_exemplar_above_all_buckets_keeps_the_bucket_of_infinity() -> None:
    own, target = make()
    target.operation("ping").succeeded(5.0)
    target.histogram(DURATION, "ping").set_exemplar('stall_id="7"', 5.0, 1700000000.5)
    [*_, last] = [
        message(one) for one in series(own.of_target("a", TARGET_FAMILIES)[DURATION, False])["ping"].content[3]
    ]
    assert (last[1], last[2], 3 in last) == ([1], [float("inf")], True)


def test_long_lines_that_did_not_change_are_not_encoded_again() -> None:
    own, target = make()
    before = own.live("a", TARGET_FAMILIES)
    target.operation("ping").succeeded(0.05)
    target.up.set(1)
    after = own.live("a", TARGET_FAMILIES)
    assert series(after[UP, False])[""].value == 1.0
    assert series(after[DURATION, True])["ping"].number(1) == 1
    assert after[FAILURES, False] is before[FAILURES, False]
    own.forget_others([])
    again = own.live("a", TARGET_FAMILIES)
    assert again == after
    assert again[FAILURES, False] is not after[FAILURES, False]
    assert own.of_target("b", TARGET_FAMILIES) == {}


def test_what_no_ping_changes_has_a_digest() -> None:
    own, target = make()

    def digests() -> dict[OwnKey, int]:
        found: dict[OwnKey, int] = {}
        for key, digest, _ in own.quiet_sources("a"):
            found[key] = hash((found.get(key), digest))
        return found

    before = digests()
    target.operation("ping").succeeded(0.05)
    assert digests() == before
    target.operation("connect").succeeded(0.05)
    changed = {key for key, digest in digests().items() if digest != before.get(key)}
    assert (DURATION, True) in changed
    assert (DURATION, False) in changed
    assert len(changed) < len(before) / 2


def test_histogram_that_starts_again_is_a_new_one() -> None:
    """After a change of the buckets the new histogram may have as many observations as the old one had."""
    own, target = make()
    target.operation("ping").succeeded(0.05)
    own.of_target("a", TARGET_FAMILIES)
    target.address_changed({"address": "b:1"}, (0.2, 0.3), ["ping", "connect"])
    target.operation("ping").succeeded(0.25)
    assert series(own.of_target("a", TARGET_FAMILIES)[DURATION, False])["ping"].buckets == {0.2: 0, 0.3: 1}


def test_families_of_the_client_library_keep_their_creation_time() -> None:
    registry = CollectorRegistry()
    Counter("x_runs", "Runs.", ["kind"], registry=registry).labels("a").inc(3)
    Gauge("x_size", "Size.", registry=registry).set(-1.5)
    Histogram("x_seconds", "Seconds.", ["kind"], buckets=(0.1, 1), registry=registry).labels("b").observe(0.5)
    Counter("x_never", "Has no series.", ["kind"], registry=registry)
    page = b"".join(encode_own(family) for family in registry.collect())
    counter, gauge, histogram = families(page)
    assert (counter.name, counter.type, counter.help) == ("x_runs_total", "counter", "Runs.")
    assert (counter.series[0].labels, counter.series[0].value) == ({"kind": "a"}, 3.0)
    assert 3 in counter.series[0].content, "the creation time"
    assert (gauge.name, gauge.type, gauge.series[0].value) == ("x_size", "gauge", -1.5)
    [one] = histogram.series
    assert (one.labels, one.number(1), one.number(2), one.buckets) == ({"kind": "b"}, 1, 0.5, {0.1: 0, 1.0: 1})
    assert 15 in one.content


def test_part_of_the_page_has_only_its_families() -> None:
    own, target = make()
    target.operation("ping").succeeded(0.05)
    assert own.of_target("a", (UP, DURATION)).keys() == {(UP, False), (DURATION, False), (DURATION, True)}
