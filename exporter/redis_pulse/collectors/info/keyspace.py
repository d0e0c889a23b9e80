"""The keyspace part of INFO: one dbN line for every database that holds keys."""
# ruff: noqa: E501 - a row is one line

import re
from collections.abc import Iterator

from redis_pulse.collectors.support.labels import OVERFLOW
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, UnreadableField, gauge, parse_number
from redis_pulse.parse.info import parse_pairs


def _msec_if_known(text: str) -> float | None:
    """Milliseconds to seconds; Dragonfly writes -1 for what it does not measure."""
    value = parse_number(text)
    return None if value is None or value < 0 else value / 1e3


# fmt: off
DB_KEYS = gauge("Keyspace", "dbN:keys", "db_keys", "Keys in a database.", labels=("db",))
DB_EXPIRING = gauge("Keyspace", "dbN:expires", "db_keys_expiring", "Keys in a database that have a TTL.", labels=("db",))
#: The pairs of a dbN line by name, for their order and number differ from server to server.
OF_A_DB = {
    "keys": DB_KEYS,
    "expires": DB_EXPIRING,
    "avg_ttl": gauge("Keyspace", "dbN:avg_ttl", "db_avg_ttl_seconds", "Estimated mean TTL of the keys in a database that have one.", _msec_if_known, labels=("db",)),
    "cached_keys": gauge("Keyspace", "dbN:cached_keys", "db_keys_cached", "Keys of a database that are in memory (KeyDB).", labels=("db",)),
    "subexpiry": (expiring_items := gauge("Keyspace", "dbN:subexpiry", "db_keys_with_expiring_items", "Keys in a database whose fields have a TTL (Redis 7.4, Valkey 9 and later).", labels=("db",))),
    "keys_with_volatile_items": expiring_items,
}
# fmt: on
KEYSPACE: tuple[MetricSpec, ...] = tuple(dict.fromkeys(OF_A_DB.values()))

#: A server with more databases than that (``databases``) has the others summed up.
_MAX_DATABASES = 256
_DB = re.compile(r"db[0-9]+")
_COUNT = re.compile(r"[0-9]{1,19}")


def read_databases(keyspace: dict[str, str] | None, empty: int) -> Iterator[CollectorItem | None]:
    """Read the dbN lines. A database without keys has none, so the first ``empty`` ones say 0, not nothing."""
    if keyspace is None:
        return
    for db in (f"db{index}" for index in range(min(empty, _MAX_DATABASES))):
        if db not in keyspace:
            yield DB_KEYS.sample(0.0, db)
            yield DB_EXPIRING.sample(0.0, db)
    lines = [(db, parse_pairs(text)) for db, text in keyspace.items() if _DB.fullmatch(db)]
    for db, pairs in lines[:_MAX_DATABASES]:
        if "keys" not in pairs:
            yield UnreadableField(DB_KEYS.location)
        for item, value in pairs.items():
            if (metric := OF_A_DB.get(item)) is not None:
                yield metric.parse(value, db)
    if more := lines[_MAX_DATABASES:]:
        yield OverflowCount(DB_KEYS.location, len(more))
        for metric in (DB_KEYS, DB_EXPIRING):
            texts = (pairs.get(metric.field.partition(":")[2], "") for _, pairs in more)
            yield metric.sample(sum(float(text) for text in texts if _COUNT.fullmatch(text)), OVERFLOW)
