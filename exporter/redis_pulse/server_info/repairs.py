"""Repairs of INFO: each changes the sections of one kind of server to what Redis would have written."""

import re
from collections.abc import Mapping
from itertools import islice

from redis_pulse.server_info.profile import Repair, Sections

#: Replicas of one server that are read.
MAX_REPLICAS = 500
_CPU = re.compile(r"([0-9]+)\.([0-9]{1,6})")
_REPLICA = re.compile(r"slave[0-9]+")
_LAG = re.compile(r"(^|,)lag=[^,]*")


def renamed(names: Mapping[str, str]) -> Repair:
    """Return a repair that copies fields to their names in Redis. A field that exists is not overwritten."""

    def repair(info: Sections) -> None:
        for fields in info.values():
            for name in names.keys() & fields.keys():
                fields.setdefault(names[name], fields[name])

    return repair


def whole_microseconds(info: Sections) -> None:
    """Write ``1.000040`` for the CPU time ``1.40``, which means 1 s and 40 µs: Dragonfly omits the leading zeros."""
    if "CPU" in info:
        info["CPU"] = {field: _microseconds(text) for field, text in info["CPU"].items()}


def _microseconds(text: str) -> str:
    match = _CPU.fullmatch(text)
    return text if match is None else f"{match[1]}.{match[2].zfill(6)}"


def lag_is_no_time(info: Sections) -> None:
    """Remove ``lag`` of replicas: it counts records (in Pika: one number per database), not seconds as in Redis."""
    replication = info.get("Replication", {})
    for field in list(islice(filter(_REPLICA.fullmatch, replication), MAX_REPLICAS)):
        replication[field] = _LAG.sub("", replication[field]).removeprefix(",")


def role_of_a_replica(info: Sections) -> None:
    """Write ``slave`` for the role ``replica`` of a Dragonfly that is configured not to be compatible."""
    if info.get("Replication", {}).get("role") == "replica":
        info["Replication"]["role"] = "slave"


def uncounted_keys(info: Sections) -> None:
    """Remove the keys of a Kvrocks that has not counted them yet, because its zeros are not real.

    The other fields of the section, such as the size of the disk, are real. They move to another section.
    """
    if info.get("Keyspace", {}).get("last_dbsize_scan_timestamp") == "0":
        keyspace = info.pop("Keyspace")
        others = {field: text for field, text in keyspace.items() if not field.startswith("db")}
        info["Persistence"] = others | info.get("Persistence", {})
