"""Only what differs from the default set of collectors is written."""

from redis_pulse.migrate.convert import CollectorChoices
from redis_pulse.migrate.values import DISABLED


def test_nothing_is_written_unless_something_differs() -> None:
    assert CollectorChoices(["info", "keys"], ["info"]).settings() == {}


def test_what_is_added_has_options_or_is_left_out_stands_beside_the_default_set() -> None:
    chosen = CollectorChoices(["info", "keys", "slowlog", "scripts"], ["info", "slowlog"])
    chosen.put("keys.patterns", ["a*"], enables=True)
    chosen.put("slowlog", DISABLED, enables=False)
    assert chosen.settings() == {"default": True, "keys": {"patterns": ["a*"]}, "slowlog": False}


def test_options_of_a_collector_that_does_not_run_are_dropped() -> None:
    chosen = CollectorChoices(["info", "keys"], ["info"])
    chosen.put("keys.values", True, enables=False)
    assert chosen.settings() == {}
