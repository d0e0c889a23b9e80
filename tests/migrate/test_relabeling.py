"""Rules for Prometheus: names as the flags of redis_exporter made them."""

import pytest

from redis_pulse.migrate.convert import namespace_of, renamed, rules
from redis_pulse.migrate.flag_parser import ParsedFlags


@pytest.mark.parametrize(
    ("said", "namespace"), [("cache", "cache"), ("redis", "redis"), ("", "redis"), ("a-b", "redis"), ('a"b', "redis")]
)
def test_only_what_a_name_can_begin_with_is_a_namespace(said: str, namespace: str) -> None:
    assert namespace_of(ParsedFlags({"namespace": said})) == namespace


def test_nothing_is_to_be_done_unless_a_flag_asks_for_it() -> None:
    assert rules(ParsedFlags()) == []
    assert len(rules(ParsedFlags({"namespace": "cache", "redis-only-metrics": "true"}))) == 2


def test_only_names_of_metrics_are_renamed() -> None:
    told = "redis_up, redis_instance_info; not redis_url, redis_exporter, redis_ or redis-pulse"
    assert renamed(told, ParsedFlags({"namespace": "c"})) == told.replace("redis_up", "c_up").replace(
        "redis_inst", "c_inst"
    )
