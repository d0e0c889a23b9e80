"""The route of an alert is that of Alertmanager: ``amtool config routes test`` gave the expected receivers."""

from typing import Any

import pytest

from redis_pulse.doctor.alert_routes import receivers_of, receivers_without_integration

CONFIG: dict[str, Any] = {
    "route": {
        "receiver": "tickets",
        "routes": [
            {"receiver": "audit", "matchers": ['alertname=~"Redis.+"'], "continue": True},
            {"receiver": "pager", "matchers": ['severity="critical"', 'team!="web"']},
            {"matchers": ['{severity="critical",team="web"}'], "routes": [{"receiver": "web", "match": {"a": "1"}}]},
            {"receiver": "news", "match_re": {"severity": "info|none"}},
        ],
    },
    "receivers": [{"name": "tickets"}, {"name": "pager", "email_configs": [{"to": "a"}]}, {"name": "news"}],
}


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({"severity": "warning"}, ["tickets"]),
        ({"severity": "critical"}, ["pager"]),
        ({"severity": "critical", "team": "web"}, ["tickets"]),
        ({"severity": "critical", "team": "web", "a": "1"}, ["web"]),
        ({"severity": "none"}, ["news"]),
        ({"alertname": "RedisDown", "severity": "critical"}, ["audit", "pager"]),
    ],
)
def test_receivers_follow_the_routes(labels: dict[str, str], receivers: list[str]) -> None:
    assert receivers_of(CONFIG, labels) == receivers


def test_receivers_that_send_nothing_are_found() -> None:
    assert receivers_without_integration(CONFIG) == {"tickets", "news"}


@pytest.mark.parametrize("config", [{}, {"route": None}, {"receivers": "x"}, {"route": {"routes": "x"}}])
def test_broken_configuration_has_no_receiver(config: dict[str, Any]) -> None:
    assert [receiver for receiver in receivers_of(config, {}) if receiver] == []
    assert receivers_without_integration(config) == frozenset()


def test_broken_pattern_matches_nothing() -> None:
    config = {"route": {"receiver": "a", "routes": [{"receiver": "b", "matchers": ['x=~"("']}]}}
    assert receivers_of(config, {"x": "("}) == ["a"]
