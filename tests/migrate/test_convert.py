"""Conversion of flags: the choice of collectors, and rules for renamed metrics."""

import pytest

from redis_pulse.migrate.convert import CollectorChoices, namespace_of, relabel_rules, rename_metrics
from redis_pulse.migrate.flag_parser import ParsedFlags
from redis_pulse.migrate.values import DISABLED


def test_default_collectors_are_not_written() -> None:
    assert CollectorChoices(["info", "keys"], ["info"]).settings() == {}


def test_added_and_disabled_collectors_are_written_with_the_default_set() -> None:
    choices = CollectorChoices(["info", "keys", "slowlog", "scripts"], ["info", "slowlog"])
    choices.put("keys.patterns", ["a*"], enables=True)
    choices.put("slowlog", DISABLED, enables=False)
    assert choices.settings() == {"default": True, "keys": {"patterns": ["a*"]}, "slowlog": False}


def test_options_of_a_disabled_collector_are_dropped() -> None:
    choices = CollectorChoices(["info", "keys"], ["info"])
    choices.put("keys.values", True, enables=False)
    assert choices.settings() == {}


@pytest.mark.parametrize(
    ("value", "namespace"), [("cache", "cache"), ("redis", "redis"), ("", "redis"), ("a-b", "redis"), ('a"b', "redis")]
)
def test_invalid_namespace_is_ignored(value: str, namespace: str) -> None:
    assert namespace_of(ParsedFlags({"namespace": value})) == namespace


def test_relabel_rules_are_written_only_for_their_flags() -> None:
    assert relabel_rules(ParsedFlags()) == []
    assert len(relabel_rules(ParsedFlags({"namespace": "cache", "redis-only-metrics": "true"}))) == 2


def test_only_names_of_metrics_are_renamed() -> None:
    text = "redis_up, redis_instance_info; not redis_url, redis_exporter, redis_ or redis-pulse"
    expected = text.replace("redis_up", "c_up").replace("redis_inst", "c_inst")
    assert rename_metrics(text, ParsedFlags({"namespace": "c"})) == expected
