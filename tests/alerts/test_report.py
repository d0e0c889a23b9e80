"""The committed matrix is what the code expects, and what is written can be read back."""

from tests.alerts import report
from tests.alerts.expected import EXPECTED, NAMES, Places
from tests.alerts.matrix import Outcome


def outcome(late: float = 4.2) -> Outcome:
    """A run in which everything came as it should."""
    fired = {place: dict.fromkeys(names, 100 + late) for row in EXPECTED.values() for place, names in row.fires.items()}
    injected = dict.fromkeys(EXPECTED, 100.0)
    return Outcome(set(EXPECTED), {}, fired, {}, {}, 1.0, set(), set(), injected)


def rows() -> dict[str, tuple[Places, Places]]:
    return {fault: (row.fires, row.inhibited) for fault, row in EXPECTED.items()}


def test_the_committed_table_is_what_the_code_expects() -> None:
    found = report.read(report.PAGE.read_text(encoding="utf-8"))
    assert found == rows(), "run `make alerts`, and commit what it writes"


def test_what_is_written_can_be_read_back() -> None:
    text = report.table(outcome())
    assert report.read(text) == rows()
    assert "`RedisTargetDown` 4" in text


def test_a_fault_that_raises_nothing_says_so() -> None:
    assert "| latency +5 ms, the edge is at 100 ms | `latency-5ms` | none | none |" in report.table(outcome())


def test_every_expected_alert_is_one() -> None:
    for row in EXPECTED.values():
        for place, names in row.fires.items():
            assert {name.partition("/")[0] for name in names} <= set(NAMES)
            assert row.inhibited.get(place, set()) <= names


def test_nearly_every_alert_is_raised_by_some_fault() -> None:
    """Those that are not are tried by promtool alone: what they need would take a core, comes and goes by chance, or is
    a cluster, a Sentinel set or a source that the exporter follows."""
    raised = {name.partition("/")[0] for row in EXPECTED.values() for names in row.fires.values() for name in names}
    assert set(NAMES) - raised == {
        "RedisMainThreadSaturated",
        "RedisCircuitBreakerFlapping",
        "RedisClusterNodesDisagree",
        "RedisClusterNodesFailing",
        "RedisClusterShardWithoutReplica",
        "RedisDiscoveryFailing",
        "RedisSentinelsDisagree",
    }
