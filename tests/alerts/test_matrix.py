"""Real servers are broken in 44 ways at once. Exactly the expected alerts must fire, each in its location.

The rules are the released ones, with windows and waits 180 times as short (``tests.alerts.fault.SETTINGS``). The run
takes four minutes. So it belongs to ``make alerts``, not to ``make test``. It also writes docs/alert-matrix.md.
"""

import os

import pytest

from tests.alerts import report
from tests.alerts.expected import EXPECTED
from tests.alerts.matrix import RESOLVE_TIMEOUT, MatrixResult, run

pytestmark = pytest.mark.alerts


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> MatrixResult:
    """Return the result of one run for all tests.

    The table is written before they check the result, so that a developer can look at a difference.
    """
    matrix_result = run(tmp_path_factory.mktemp("matrix"))
    if os.environ.get("ALERTS_WRITE"):
        report.write_table(matrix_result)
    return matrix_result


def test_nothing_fires_before_the_faults(result: MatrixResult) -> None:
    assert not result.fired_before


def test_every_fault_was_injected(result: MatrixResult) -> None:
    assert result.faults == set(EXPECTED)


@pytest.mark.parametrize("fault", EXPECTED)
def test_fault_raises_its_alerts_and_no_other(result: MatrixResult, fault: str) -> None:
    fired = {location: set(alerts) for location, alerts in result.fired_by(fault).items()}
    assert fired == EXPECTED[fault].fires


@pytest.mark.parametrize("fault", EXPECTED)
def test_consequences_of_another_alert_are_inhibited(result: MatrixResult, fault: str) -> None:
    fires, inhibited, _ = EXPECTED[fault]
    for location, alerts in fires.items():
        assert result.notified(location) == alerts - inhibited.get(location, set()), location


@pytest.mark.parametrize("fault", EXPECTED)
def test_stalls_of_a_fault_have_its_cause(result: MatrixResult, fault: str) -> None:
    named, expected = result.causes(fault), EXPECTED[fault].causes
    assert set(named) == set(expected)
    for location, cause in named.items():
        assert cause in expected[location] | {"unknown"}, location


def test_nothing_fires_in_locations_without_a_fault(result: MatrixResult) -> None:
    assert result.fired_elsewhere() == {}


def test_all_alerts_end_after_healing(result: MatrixResult) -> None:
    still_firing = sorted(result.still_firing)
    assert result.resolved_after is not None, f"still firing after {RESOLVE_TIMEOUT} s: {still_firing}"


def test_healing_raises_no_other_alerts(result: MatrixResult) -> None:
    """Except informational ones: a healed server has restarted, and a demoted one has changed its role."""
    informational = {"RedisRestarted", "RedisRoleChanged"}
    known = {location: names for row in EXPECTED.values() for location, names in row.fires.items()}
    other = {
        location: set(names) - known.get(location, set()) - informational
        for location, names in result.fired_after_healing.items()
    }
    assert not {location: names for location, names in other.items() if names}


def test_every_text_has_its_values(result: MatrixResult) -> None:
    """If an expression loses a label, the text has an empty place."""
    for alert in result.texts:
        for text in (alert.summary, alert.description):
            assert "<no value>" not in text, alert
            assert "error expanding" not in text, alert
            assert "  " not in text, f"a value is missing: {alert}"
