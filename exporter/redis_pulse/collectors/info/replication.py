"""The replication part of INFO: whom a replica follows, and how far behind its replicas a primary sees them."""
# ruff: noqa: E501 - a row is one line

import re
from collections.abc import Iterator

from redis_pulse.metric import MetricSpec, Sample, UnreadableField, gauge, parse_number
from redis_pulse.parse.info import ReplicaInfo, parse_replica

_MASTER = ("master_host", "master_port")
_REPLICA = ("slave_ip", "slave_port", "slave_state")
_ADDRESS = ("slave_ip", "slave_port")


def _link_up(text: str) -> float:
    return float(text == "up")


def _if_known(text: str) -> float | None:
    """Read a lag, which is -1 where the server does not know it."""
    value = parse_number(text)
    return None if value is None or value < 0 else value


# fmt: off
SLAVE_INFO = gauge("Replication", "slave_read_only", "slave_info", "Always 1 on a replica; the labels name its master.", labels=(*_MASTER, "read_only"))
#: Fields of a replica, which bear its master's address. KeyDB may have more masters: master_1_host, and so on.
OF_A_REPLICA = (
    gauge("Replication", "master_link_status", "master_link_up", "1 while the link to the master is up.", _link_up, labels=_MASTER),
    gauge("Replication", "master_last_io_seconds_ago", "master_last_io_seconds_ago", "Time since the master was last heard of, -1 while the link is down.", labels=_MASTER),
    gauge("Replication", "master_link_down_since_seconds", "master_link_down_since_seconds", "Time since the link to the master went down, only while it is, -1 when it never was up.", labels=_MASTER),
    gauge("Replication", "master_sync_in_progress", "master_sync_in_progress", "1 while the replica receives the whole dataset.", labels=_MASTER),
    gauge("Replication", "slave_repl_offset", "slave_repl_offset", "Replication offset that the replica has reached.", labels=_MASTER),
)
REPLICA_OFFSET = gauge("Replication", "slaveN:offset", "connected_slave_offset_bytes", "Replication offset that a connected replica has acknowledged.", labels=_REPLICA)
REPLICA_LAG = gauge("Replication", "slaveN:lag", "connected_slave_lag_seconds", "Time since a connected replica last acknowledged its offset.", _if_known, labels=_REPLICA)
LAG_BYTES = gauge("Replication", "slaveN:offset", "replica_lag_bytes", "Bytes of the replication stream that an online replica has not acknowledged yet.", labels=_ADDRESS)
LAG_SECONDS = gauge("Replication", "slaveN:lag", "replica_lag_seconds", "Time since an online replica last acknowledged its offset, in whole seconds.", _if_known, labels=_ADDRESS)
# fmt: on
REPLICATION: tuple[MetricSpec, ...] = (SLAVE_INFO, *OF_A_REPLICA, REPLICA_OFFSET, REPLICA_LAG, LAG_BYTES, LAG_SECONDS)

_REPLICA_FIELD = re.compile(r"slave[0-9]+")
_OTHER_MASTER = re.compile(r"(master|slave)_([0-9]+)_(.+)")


def read_masters(replication: dict[str, str]) -> Iterator[Sample | UnreadableField | None]:
    """Read whom a replica follows; of several masters the first has no number, the next are ``master_1_host`` and so on."""
    masters = {"": replication}
    for field, text in replication.items():
        if other := _OTHER_MASTER.fullmatch(field):
            masters.setdefault(other[2], {})[f"{other[1]}_{other[3]}"] = text
    if len(masters) > 1 and "slave_repl_offset" in replication:  # it comes once a master: the last one's counts
        masters = {"": {**replication}} | dict(list(masters.items())[1:])
        list(masters.values())[-1].setdefault("slave_repl_offset", masters[""].pop("slave_repl_offset"))
    seen: set[tuple[str, str]] = set()
    for fields in masters.values():
        if "master_host" not in fields:
            continue
        master = fields["master_host"], fields.get("master_port", "")
        if master in seen:
            yield UnreadableField("Replication/master_N_host")
            continue
        seen.add(master)
        yield SLAVE_INFO.sample(1.0, *master, replication.get("slave_read_only", ""))
        for metric in OF_A_REPLICA:
            if metric.field in fields:
                yield metric.parse(fields[metric.field], *master)


def read_replicas(replication: dict[str, str], reached: str) -> Iterator[Sample | UnreadableField | None]:
    """Read the slaveN lines of a primary whose own offset is ``reached``."""
    seen: set[tuple[str, str, str]] = set()
    online: dict[tuple[str, str], ReplicaInfo] = {}
    for field, text in replication.items():
        if not _REPLICA_FIELD.fullmatch(field):
            continue
        replica = parse_replica(text)
        if replica is None or replica[:3] in seen:  # a series may stand on a page only once
            yield UnreadableField("Replication/slaveN")
            continue
        seen.add(replica[:3])
        if replica.state == "online":  # before, it has no offset: it receives the whole dataset
            online[replica[:2]] = replica
        for metric, value in ((REPLICA_OFFSET, replica.offset), (REPLICA_LAG, replica.lag)):
            if value is not None:
                yield metric.parse(value, *replica[:3])
    for address, replica in online.items():
        if (behind := _behind(reached, replica.offset or "")) is not None:
            yield LAG_BYTES.sample(behind, *address)
        if replica.lag is not None and isinstance(lag := LAG_SECONDS.parse(replica.lag, *address), Sample):
            yield lag


def _behind(reached: str, offset: str) -> float | None:
    """Return how many bytes a replica is behind; None where its offset or its primary's is unknown."""
    try:
        ahead, behind = parse_number(reached), parse_number(offset)
    except ValueError:
        return None  # counted by the fields' own rows
    return None if ahead is None or behind is None else max(0.0, ahead - behind)
