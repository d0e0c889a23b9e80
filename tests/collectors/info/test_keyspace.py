"""A server may have any number of databases, but the number of series is limited."""

from redis_pulse.collectors.info.keyspace import read_databases
from redis_pulse.collectors.support.labels import OVERFLOW
from redis_pulse.metric import OverflowCount, Sample


def test_databases_beyond_the_limit_are_summed_and_counted() -> None:
    lines = {f"db{number}": "keys=2,expires=1,avg_ttl=5" for number in range(300)} | {"db300": "keys=x,expires=1"}
    items = list(read_databases(lines, 0))
    values = {(one.metric.name, *one.labels): one.value for one in items if isinstance(one, Sample)}
    assert values["db_keys", OVERFLOW] == 2 * (300 - 256)
    assert values["db_keys_expiring", OVERFLOW] == 300 - 256 + 1
    assert ("db_avg_ttl_seconds", OVERFLOW) not in values  # a mean cannot be summed
    assert len({label for name, *labels in values if name == "db_keys" for label in labels}) == 256 + 1
    assert [one.values for one in items if isinstance(one, OverflowCount)] == [45]


def test_empty_databases_have_the_same_limit_as_others() -> None:
    assert len(list(read_databases({}, 10**9))) == 2 * 256


def test_server_without_a_keyspace_section_has_no_databases() -> None:
    assert list(read_databases(None, 16)) == []
