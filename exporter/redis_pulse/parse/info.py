"""Parses the text of INFO into plain dicts of text. ``redis_pulse.metric`` converts the values.

``parse_info`` splits the text into sections. ``parse_modules`` reads the lines ``module:…``, which all have the same
field name and therefore cannot be in that dict. ``normalize`` translates INFO of compatible servers into that of Redis.
They may use another name, another unit, or a number that stands for a missing value.
"""

import re
from typing import NamedTuple

#: Section → field → value, as the server writes them. Fields before the first heading are in section ``""``. A known
#: section has the name that Redis gives it: Kvrocks writes ``CommandStats`` and Dragonfly writes ``Cpu``.
Info = dict[str, dict[str, str]]
SECTIONS = {
    name.lower(): name
    for name in (
        *("Server", "Clients", "Memory", "Persistence", "Threads", "Stats", "Replication", "CPU", "Modules"),
        *("Commandstats", "Errorstats", "Latencystats", "Cluster", "Keyspace", "Keysizes", "Sentinel", "KeyDB"),
    )
}
#: Pika writes ``# Replication(MASTER)``.
_WITH_ROLE = re.compile(r"([A-Za-z]+)\([A-Za-z]*\)")
#: Pika writes comments inside a section: ``# Time:2023-04-14``, ``# Duration: 37s`` and ``#hash_ RocksDB``.
_COMMENT = re.compile(r"# (Time|Duration):|#\S+ \S")
#: Pika writes one line per type of key: ``db0 Hashes_keys=12, expires=3, invalid_keys=0``.
_KEYS_OF_A_TYPE = re.compile(r"(db[0-9]+) [A-Za-z]+_keys=([0-9]{1,18}), *expires=([0-9]{1,18})\b.*")
#: Time of a key scan that never ran.
_NEVER = re.compile(r"# Time:(1969|1970)-")
_MODULE = re.compile(r"^module:([^\r\n]*)", re.MULTILINE)
_MODULE_PAIR = re.compile(r"(?:^|,)([a-z_]+)=(\[[^\]]*\]|[^,]*)")

#: Version field of a server → its field names → the names in Redis.
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
#: Version fields of servers with a ``lag`` in records (in Pika: one per database), not in seconds as in Redis.
_LAG_IN_RECORDS = ("dragonfly_version", "kvrocks_version", "pika_version")
_CPU = re.compile(r"([0-9]+)\.([0-9]{1,6})")
_REPLICA = re.compile(r"slave[0-9]+")


class ReplicaInfo(NamedTuple):
    """One ``slaveN`` line of a primary; ``offset`` (bytes) and ``lag`` (seconds) are None if the line lacks them."""

    ip: str
    port: str
    state: str
    offset: str | None
    lag: str | None


def parse_info(text: str) -> Info:
    r"""Split an INFO reply into its sections.

    >>> parse_info("# Server\r\nhz:10\r\n\r\n# Keyspace\r\ndb0:keys=1,expires=0\r\n")
    {'Server': {'hz': '10'}, 'Keyspace': {'db0': 'keys=1,expires=0'}}

    Lines end in CRLF or LF. All text after the first colon is the value. Lines other than headings and ``field:value``
    are skipped. A section that comes twice is merged. If a field comes twice, the last value counts.
    """
    info: Info = {}
    fields: dict[str, str] | None = None
    typed: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        field, colon, value = line.partition(":")
        if field[:1] == "#":
            if _COMMENT.match(line):
                typed.append(line)
            else:
                fields = info.setdefault(_section(line[1:].strip()), {})
        elif colon:
            if fields is None:
                fields = info.setdefault("", {})
            fields[field] = value
        elif field[:2] == "db":
            typed.append(line)
    if typed and "Keyspace" in info:
        _add_types(info, typed)
    return info


def has_fields(info: Info) -> bool:
    """Return whether there is any field. Some servers return only the heading of an unknown section."""
    return any(info.values())


def _section(heading: str) -> str:
    if (match := _WITH_ROLE.fullmatch(heading)) is not None:
        heading = match[1]
    return SECTIONS.get(heading.lower(), heading)


def _add_types(info: Info, lines: list[str]) -> None:
    """Sum the types of keys of each database: ``db0`` becomes ``keys=12,expires=3``.

    The counts come from a scan. Before the first scan they are unknown and all 0, so the section is removed.
    """
    sums: dict[str, tuple[int, int]] = {}
    for line in lines:
        if (match := _KEYS_OF_A_TYPE.fullmatch(line)) is not None:
            keys, expires = sums.get(match[1], (0, 0))
            sums[match[1]] = keys + int(match[2]), expires + int(match[3])
    if not any(keys for keys, _ in sums.values()) and any(map(_NEVER.match, lines)):
        del info["Keyspace"]
    else:
        info["Keyspace"] |= {db: f"keys={keys},expires={expires}" for db, (keys, expires) in sums.items()}


def parse_pairs(text: str) -> dict[str, str]:
    """Split ``keys=1,expires=0,avg_ttl=0`` into a dict; a part without ``=`` is skipped."""
    pairs = (part.partition("=") for part in text.split(","))
    return {key: value for key, equals, value in pairs if equals}


def parse_replica(text: str) -> ReplicaInfo | None:
    """Read ``ip=10.0.0.7,port=6379,state=online,offset=2228,lag=0``; return None without an address.

    IPv6 addresses have no brackets. ``lag`` exists since Redis 3.0, and newer servers add further pairs.
    """
    pairs = parse_pairs(text)
    if not (pairs.get("ip") and pairs.get("port")):
        return None
    return ReplicaInfo(pairs["ip"], pairs["port"], pairs.get("state", ""), pairs.get("offset"), pairs.get("lag"))


def parse_modules(text: str) -> list[dict[str, str]]:
    r"""Return the pairs of each module. A list stays text.

    >>> parse_modules("module:name=search,ver=21005,usedby=[],using=[ReJSON]\r\n")
    [{'name': 'search', 'ver': '21005', 'usedby': '[]', 'using': '[ReJSON]'}]
    """
    return [dict(_MODULE_PAIR.findall(line)) for line in _MODULE.findall(text)]


def normalize(info: Info) -> Info:
    """Change ``info`` to what Redis would have written, and return it."""
    server = info.get("Server", {})
    for version, names in _NAMES.items():
        if version in server:
            _rename(info, names)
    if "dragonfly_version" in server and "CPU" in info:
        info["CPU"] = {field: _microseconds(text) for field, text in info["CPU"].items()}
    if info.get("Replication", {}).get("role") == "replica":
        info["Replication"]["role"] = "slave"  # Dragonfly, if it is configured not to be compatible
    if "Replication" in info and any(version in server for version in _LAG_IN_RECORDS):
        replication = info["Replication"]
        for field in filter(_REPLICA.fullmatch, replication):
            pairs = parse_pairs(replication[field])
            replication[field] = ",".join(f"{key}={value}" for key, value in pairs.items() if key != "lag")
    if info.get("Keyspace", {}).get("last_dbsize_scan_timestamp") == "0":
        del info["Keyspace"]  # Kvrocks has not counted its keys yet, so its zeros are not real
    return info


def _rename(info: Info, names: dict[str, str]) -> None:
    for fields in info.values():
        for name in names.keys() & fields.keys():
            fields.setdefault(names[name], fields[name])


def _microseconds(text: str) -> str:
    """Return ``1.000040`` for ``1.40``, which means 1 s and 40 µs: Dragonfly omits the leading zeros."""
    match = _CPU.fullmatch(text)
    return text if match is None else f"{match[1]}.{match[2].zfill(6)}"
