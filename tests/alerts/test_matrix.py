"""Real servers are broken in 35 ways at once, and the alerts that fire are those that should, where they should.

The rules are those that are shipped, with windows and waits 180 times as short (``tests.alerts.fault.SETTINGS``). It
takes four minutes, so it is no part of ``make test`` but of ``make alerts``, which also writes docs/alert-matrix.md.
"""

import os

import pytest

from tests.alerts import report
from tests.alerts.expected import EXPECTED
from tests.alerts.matrix import OVER, Outcome, run

pytestmark = pytest.mark.alerts


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """One run for all tests; its table is written before they judge it, so that a difference can be looked at."""
    found = run(tmp_path_factory.mktemp("matrix"))
    if os.environ.get("ALERTS_WRITE"):
        report.write(found)
    return found


def test_nothing_fires_while_all_is_well(outcome: Outcome) -> None:
    assert not outcome.healthy


def test_every_fault_was_injected(outcome: Outcome) -> None:
    assert outcome.faults == set(EXPECTED)


@pytest.mark.parametrize("fault", EXPECTED)
def test_a_fault_raises_its_alerts_and_no_other(outcome: Outcome, fault: str) -> None:
    fired = {place: set(alerts) for place, alerts in outcome.of(fault).items()}
    assert fired == EXPECTED[fault].fires


@pytest.mark.parametrize("fault", EXPECTED)
def test_what_follows_from_another_alert_is_not_told(outcome: Outcome, fault: str) -> None:
    fires, inhibited = EXPECTED[fault]
    for place, alerts in fires.items():
        assert outcome.told(place) == alerts - inhibited.get(place, set()), place


def test_nothing_fires_where_no_fault_is(outcome: Outcome) -> None:
    assert outcome.strays() == {}


def test_all_of_it_ends_when_it_is_mended(outcome: Outcome) -> None:
    assert outcome.resolved is not None, f"still firing {OVER} s after: {sorted(outcome.left)}"


def test_mending_raises_nothing_else(outcome: Outcome) -> None:
    """But for news: a server that comes back has restarted, one that becomes a replica has changed its role."""
    news = {"RedisRestarted", "RedisRoleChanged"}
    known = {place: names for row in EXPECTED.values() for place, names in row.fires.items()}
    other = {place: set(names) - known.get(place, set()) - news for place, names in outcome.after.items()}
    assert not {place: names for place, names in other.items() if names}


def test_every_text_has_its_values(outcome: Outcome) -> None:
    """A label that an expression has lost is an empty place in the text."""
    for alert in outcome.texts:
        for text in (alert.summary, alert.description):
            assert "<no value>" not in text, alert
            assert "error expanding" not in text, alert
            assert "  " not in text, f"a value is missing: {alert}"
