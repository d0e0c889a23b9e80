"""The replication part of INFO: the masters of a replica, and the lag of the replicas of a primary."""
# ruff: noqa: E501 - one line per metric definition

import re
from collections.abc import Iterator

from redis_pulse.metric import (
    CollectorItem,
    MetricSpec,
    OverflowCount,
    Sample,
    UnreadableField,
    counter,
    gauge,
    parse_number,
)
from redis_pulse.parse.info import MAX_REPLICAS, ReplicaInfo, parse_replica

_MASTER_LABELS = ("master_host", "master_port")
_REPLICA_LABELS = ("slave_ip", "slave_port", "slave_state")
_ADDRESS_LABELS = ("slave_ip", "slave_port")


def _link_up(text: str) -> float:
    return float(text == "up")


def _if_known(text: str) -> float | None:
    """Return a lag, or None for -1, which means that the server does not know it."""
    value = parse_number(text)
    return None if value is None or value < 0 else value


# fmt: off
SLAVE_INFO = gauge("Replication", "slave_read_only", "slave_info", "Always 1 on a replica; the labels name its master.", labels=(*_MASTER_LABELS, "read_only"))
#: Fields of a replica, labelled with the address of its master. A KeyDB may have several masters.
REPLICA_METRICS = (
    gauge("Replication", "master_link_status", "master_link_up", "1 while the link to the master is up.", _link_up, labels=_MASTER_LABELS),
    gauge("Replication", "master_last_io_seconds_ago", "master_last_io_seconds_ago", "Time since the last data from the master, -1 while the link is down.", labels=_MASTER_LABELS),
    gauge("Replication", "master_link_down_since_seconds", "master_link_down_since_seconds", "Time since the link to the master went down, or -1 if it never was up. Present only while it is down.", labels=_MASTER_LABELS),
    gauge("Replication", "master_sync_in_progress", "master_sync_in_progress", "1 while the replica receives the whole dataset.", labels=_MASTER_LABELS),
    gauge("Replication", "master_sync_total_bytes", "master_sync_total_bytes", "Size of the dataset that the replica receives, 0 or -1 if not known. Present only during a full resynchronisation.", labels=_MASTER_LABELS),
    gauge("Replication", "master_sync_read_bytes", "master_sync_read_bytes", "Bytes of the dataset that the replica has received. Present only during a full resynchronisation.", labels=_MASTER_LABELS),
    gauge("Replication", "master_sync_left_bytes", "master_sync_left_bytes", "Bytes that the replica has not received yet, negative if the size is not known. Present only during a full resynchronisation.", labels=_MASTER_LABELS),
    gauge("Replication", "master_sync_perc", "master_sync_percentage", "Progress of a full resynchronisation, present only during one; estimated while the size is not known.", labels=_MASTER_LABELS),
    gauge("Replication", "master_sync_last_io_seconds_ago", "master_sync_last_io_seconds_ago", "Time since the last data of a full resynchronisation; present only during one.", labels=_MASTER_LABELS),
    gauge("Replication", "master_current_sync_attempts", "master_current_sync_attempts", "Attempts to synchronise since the link went down (Redis 8.2 and later).", labels=_MASTER_LABELS),
    counter("Replication", "master_total_sync_attempts", "master_sync_attempts_total", "Attempts of a replica to synchronise (Redis 8.2 and later).", labels=_MASTER_LABELS),
    gauge("Replication", "master_link_up_since_seconds", "master_link_up_since_seconds", "Time since the link to the master came up, -1 if it never was. Present only while it is up (Redis 8.2 and later).", labels=_MASTER_LABELS),
    counter("Replication", "total_disconnect_time_sec", "master_disconnected_seconds_total", "Time during which a replica had no link to its master (Redis 8.2 and later).", labels=_MASTER_LABELS),
    gauge("Replication", "slave_read_repl_offset", "slave_read_repl_offset", "Replication offset up to which the replica has received data (Redis 6.2 and later).", labels=_MASTER_LABELS),
    gauge("Replication", "slave_repl_offset", "slave_repl_offset", "Replication offset that the replica has reached.", labels=_MASTER_LABELS),
)
REPLICA_OFFSET = gauge("Replication", "slaveN:offset", "connected_slave_offset_bytes", "Replication offset that a connected replica has acknowledged.", labels=_REPLICA_LABELS)
REPLICA_LAG = gauge("Replication", "slaveN:lag", "connected_slave_lag_seconds", "Time since a connected replica last acknowledged its offset.", _if_known, labels=_REPLICA_LABELS)
LAG_BYTES = gauge("Replication", "slaveN:offset", "replica_lag_bytes", "Bytes of the replication stream that an online replica has not acknowledged yet.", labels=_ADDRESS_LABELS)
LAG_SECONDS = gauge("Replication", "slaveN:lag", "replica_lag_seconds", "Time since an online replica last acknowledged its offset, in whole seconds.", _if_known, labels=_ADDRESS_LABELS)
# fmt: on
REPLICATION: tuple[MetricSpec, ...] = (
    SLAVE_INFO,
    *REPLICA_METRICS,
    REPLICA_OFFSET,
    REPLICA_LAG,
    LAG_BYTES,
    LAG_SECONDS,
)

_REPLICA_FIELD = re.compile(r"slave[0-9]{1,9}")
#: Masters of one replica, apart from the first, that are read.
_MAX_MASTERS = 50
_NUMBERED_FIELD = re.compile(r"(master|slave)_([0-9]{1,9})_(.+)")


def read_masters(replication: dict[str, str]) -> Iterator[Sample | UnreadableField | None]:
    """Read the masters of a replica, and the state of its link to each."""
    seen: set[tuple[str, str]] = set()
    for fields in _fields_by_master(replication):
        if "master_host" not in fields:
            continue
        master = fields["master_host"], fields.get("master_port", "")
        if master in seen:
            yield UnreadableField("Replication/master_N_host")
            continue
        seen.add(master)
        yield SLAVE_INFO.sample(1.0, *master, replication.get("slave_read_only", ""))
        for metric in REPLICA_METRICS:
            if metric.field in fields:
                yield metric.parse(fields[metric.field], *master)


def _fields_by_master(replication: dict[str, str]) -> list[dict[str, str]]:
    """Return the fields of each master, without a number in their names.

    The fields of the first master have no number. Those of the next ones are ``master_1_host`` and so on.
    """
    first = dict(replication)
    others: dict[str, dict[str, str]] = {}
    for field, text in replication.items():
        if (match := _NUMBERED_FIELD.fullmatch(field)) and (match[2] in others or len(others) < _MAX_MASTERS):
            others.setdefault(match[2], {})[f"{match[1]}_{match[3]}"] = text
    masters = [first, *others.values()]
    if others and "slave_repl_offset" in first:
        # KeyDB writes this field without a number after each master, so its value is the one of the last master.
        offset = first.pop("slave_repl_offset")
        masters[-1].setdefault("slave_repl_offset", offset)
    return masters


def read_replicas(replication: dict[str, str], primary_offset: str) -> Iterator[CollectorItem | None]:
    """Read the slaveN lines of a primary, and compute the lag of its replicas behind ``primary_offset``."""
    seen: set[tuple[str, str, str]] = set()
    online: dict[tuple[str, str], ReplicaInfo] = {}
    lines = [text for field, text in replication.items() if _REPLICA_FIELD.fullmatch(field)]
    for text in lines[:MAX_REPLICAS]:
        replica = parse_replica(text)
        if replica is None or replica[:3] in seen:  # a page must not contain a series twice
            yield UnreadableField("Replication/slaveN")
            continue
        seen.add(replica[:3])
        if replica.state == "online":  # before, the replica receives the whole dataset and has no offset
            online[replica[:2]] = replica
        for metric, value in ((REPLICA_OFFSET, replica.offset), (REPLICA_LAG, replica.lag)):
            if value is not None:
                yield metric.parse(value, *replica[:3])
    if len(lines) > MAX_REPLICAS:
        yield OverflowCount(REPLICA_OFFSET.location, len(lines) - MAX_REPLICAS)
    for address, replica in online.items():
        if (lag_bytes := _lag_bytes(primary_offset, replica.offset or "")) is not None:
            yield LAG_BYTES.sample(lag_bytes, *address)
        if replica.lag is not None and isinstance(lag := LAG_SECONDS.parse(replica.lag, *address), Sample):
            yield lag


def _lag_bytes(primary_offset: str, replica_offset: str) -> float | None:
    """Return how many bytes a replica is behind its primary, or None if one of the offsets is unknown.

    The line of a replica may be newer than the offset of the primary. Then the difference is negative, and 0 is returned.
    """
    try:
        primary, replica = parse_number(primary_offset), parse_number(replica_offset)
    except ValueError:
        return None  # the metrics of these fields report it
    return None if primary is None or replica is None else max(0.0, primary - replica)
