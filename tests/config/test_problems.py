"""Messages suggest the names that were probably meant."""

from redis_pulse.config import closest_name, closest_names

KNOWN = ("Timeout", "timeouts", "interval")


def test_closest_name_ignores_case_and_keeps_the_known_spelling() -> None:
    assert closest_name("TIMEOUT", KNOWN) == "Timeout"
    assert closest_name("zzz", KNOWN) is None


def test_closest_names_are_limited_and_the_closest_comes_first() -> None:
    assert closest_names("timeout", KNOWN) == ["Timeout", "timeouts"]
    assert closest_names("timeout", KNOWN, limit=1) == ["Timeout"]
    assert closest_names("timeout", KNOWN, cutoff=1) == ["Timeout"]
