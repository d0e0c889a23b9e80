"""INFO of compatible servers in the words of Redis: where they write another name, another unit or no value."""

import re

from redis_pulse.parse.info import Info, parse_pairs

#: Field of Dragonfly or Kvrocks → the field of Redis that means the same.
_NAMES = {
    "dragonfly_version": {
        "max_clients": "maxclients",
        "last_success_save": "rdb_last_save_time",
        "rdb_changes_since_last_success_save": "rdb_changes_since_last_save",
    },
    "kvrocks_version": {
        "bgsave_in_progress": "rdb_bgsave_in_progress",
        "last_bgsave_time": "rdb_last_save_time",
        "last_bgsave_status": "rdb_last_bgsave_status",
        "last_bgsave_time_sec": "rdb_last_bgsave_time_sec",
    },
}
#: The ``lag`` of these is a number of records (Pika: one for each database), where Redis has seconds.
_LAG_IS_NO_TIME = ("dragonfly_version", "kvrocks_version", "pika_version")
_CPU = re.compile(r"([0-9]+)\.([0-9]{1,6})")
_REPLICA = re.compile(r"slave[0-9]+")


def translated(info: Info) -> Info:
    """Return ``info`` as Redis would have written it; ``info`` is changed for that."""
    server = info.get("Server", {})
    for version, names in _NAMES.items():
        if version in server:
            _rename(info, names)
    if "dragonfly_version" in server and "CPU" in info:
        info["CPU"] = {field: _microseconds(text) for field, text in info["CPU"].items()}
    if info.get("Replication", {}).get("role") == "replica":
        info["Replication"]["role"] = "slave"  # Dragonfly, when it is told not to be compatible
    if "Replication" in info and any(version in server for version in _LAG_IS_NO_TIME):
        replication = info["Replication"]
        for field in filter(_REPLICA.fullmatch, replication):
            pairs = parse_pairs(replication[field])
            replication[field] = ",".join(f"{key}={value}" for key, value in pairs.items() if key != "lag")
    if info.get("Keyspace", {}).get("last_dbsize_scan_timestamp") == "0":
        del info["Keyspace"]  # Kvrocks counted no keys yet: its zeros are not known to be zeros
    return info


def _rename(info: Info, names: dict[str, str]) -> None:
    for fields in info.values():
        for theirs in names.keys() & fields.keys():
            fields.setdefault(names[theirs], fields[theirs])


def _microseconds(text: str) -> str:
    """Read ``1.40``, which is a second and 40 µs: Dragonfly leaves out the zeros that lead."""
    found = _CPU.fullmatch(text)
    return text if found is None else f"{found[1]}.{found[2].zfill(6)}"
