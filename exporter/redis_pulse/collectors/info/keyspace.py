"""The keyspace part of INFO: one dbN line for each database that has keys."""
# ruff: noqa: E501 - one line per metric definition

import re
from collections.abc import Iterator

from redis_pulse.collectors.support.labels import OVERFLOW
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, UnreadableField, gauge, parse_number
from redis_pulse.parse.info import parse_pairs
from redis_pulse.parse.reply import parse_uint


def _msec_if_known(text: str) -> float | None:
    """Convert milliseconds to seconds; return None for -1, which Dragonfly writes for an unknown value."""
    value = parse_number(text)
    return None if value is None or value < 0 else value / 1e3


# fmt: off
DB_KEYS = gauge("Keyspace", "dbN:keys", "db_keys", "Keys in a database.", labels=("db",))
DB_EXPIRING = gauge("Keyspace", "dbN:expires", "db_keys_expiring", "Keys in a database that have a TTL.", labels=("db",))
_WITH_EXPIRING_ITEMS = gauge("Keyspace", "dbN:subexpiry", "db_keys_with_expiring_items", "Keys in a database that contain fields with a TTL (Redis 7.4, Valkey 9 and later).", labels=("db",))
#: Pair of a dbN line → its metric. Pairs are read by name, because their order and number differ between servers.
DATABASE_METRICS = {
    "keys": DB_KEYS,
    "expires": DB_EXPIRING,
    "avg_ttl": gauge("Keyspace", "dbN:avg_ttl", "db_avg_ttl_seconds", "Estimated mean TTL of the keys in a database that have one.", _msec_if_known, labels=("db",)),
    "cached_keys": gauge("Keyspace", "dbN:cached_keys", "db_keys_cached", "Keys of a database that are in memory (KeyDB).", labels=("db",)),
    "subexpiry": _WITH_EXPIRING_ITEMS,
    "keys_with_volatile_items": _WITH_EXPIRING_ITEMS,
}
# fmt: on
KEYSPACE: tuple[MetricSpec, ...] = tuple(dict.fromkeys(DATABASE_METRICS.values()))

#: Databases with their own series. Further ones (a server may have more, see ``databases``) are summed.
_MAX_DATABASES = 256
_DATABASE = re.compile(r"db[0-9]{1,9}")


def read_databases(keyspace: dict[str, str] | None, empty_databases: int) -> Iterator[CollectorItem | None]:
    """Read the dbN lines.

    INFO has no line for a database without keys. So the first ``empty_databases`` databases get 0 if they have no line.
    """
    if keyspace is None:
        return
    for db in (f"db{index}" for index in range(min(empty_databases, _MAX_DATABASES))):
        if db not in keyspace:
            yield DB_KEYS.sample(0.0, db)
            yield DB_EXPIRING.sample(0.0, db)
    found = 0
    sums = {DB_KEYS: 0, DB_EXPIRING: 0}
    for db, text in keyspace.items():
        yield None  # the caller pauses between items
        if not _DATABASE.fullmatch(db):
            continue
        found += 1
        if found <= _MAX_DATABASES:
            yield from _database_items(db, parse_pairs(text))
        else:
            _add(sums, parse_pairs(text))
    if found > _MAX_DATABASES:
        yield OverflowCount(DB_KEYS.location, found - _MAX_DATABASES)
        for metric, total in sums.items():
            yield metric.sample(float(total), OVERFLOW)


def _database_items(db: str, pairs: dict[str, str]) -> Iterator[CollectorItem | None]:
    if "keys" not in pairs:
        yield UnreadableField(DB_KEYS.location)
    for name, value in pairs.items():
        if (metric := DATABASE_METRICS.get(name)) is not None:
            yield metric.parse(value, db)


def _add(sums: dict[MetricSpec, int], pairs: dict[str, str]) -> None:
    for metric in sums:
        sums[metric] += parse_uint(pairs.get(metric.field.removeprefix("dbN:"), "")) or 0
