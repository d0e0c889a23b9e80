"""The text of INFO to plain dicts of text; what a value means is the row's business (``redis_pulse.metric``).

The ``module:`` lines of INFO: their field is the same in all of them, so they are no part of ``parse_info``.

INFO of compatible servers in the words of Redis: where they write another name, another unit or no value.
"""

import re
from typing import NamedTuple

#: Section → field → value, as the server spells them. Fields before the first heading are in section ``""``. A known
#: section has the name that Redis gives it: Kvrocks writes ``CommandStatsCollector`` and Dragonfly writes ``Cpu``.
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
#: Pika writes comments inside of a section: ``# Time:2023-04-14``, ``# Duration: 37s`` and ``#hash_ RocksDB``.
_COMMENT = re.compile(r"# (Time|Duration):|#\S+ \S")
#: Pika writes a line for each type of key: ``db0 Hashes_keys=12, expires=3, invalid_keys=0``.
_KEYS_OF_A_TYPE = re.compile(r"(db[0-9]+) [A-Za-z]+_keys=([0-9]{1,18}), *expires=([0-9]{1,18})\b.*")
#: This is the time of a scan of the keys that never took place.
_NEVER = re.compile(r"# Time:(1969|1970)-")


class ReplicaInfo(NamedTuple):
    """One ``slaveN`` line of a primary; ``offset`` (bytes) and ``lag`` (seconds) are None where the line has none."""

    ip: str
    port: str
    state: str
    offset: str | None
    lag: str | None


def parse_info(text: str) -> Info:
    r"""Split an INFO reply into its sections.

    >>> parse_info("# Server\r\nhz:10\r\n\r\n# Keyspace\r\ndb0:keys=1,expires=0\r\n")
    {'Server': {'hz': '10'}, 'Keyspace': {'db0': 'keys=1,expires=0'}}

    Lines end in CRLF or LF. A section that comes twice is merged, of a field that comes twice the last counts, a line
    that is neither heading nor ``field:value`` is passed over. Anything after the first colon is the value.
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
    """Whether the server told anything: some servers answer an unknown section with its heading alone."""
    return any(info.values())


def _section(heading: str) -> str:
    if (found := _WITH_ROLE.fullmatch(heading)) is not None:
        heading = found[1]
    return SECTIONS.get(heading.lower(), heading)


def _add_types(info: Info, lines: list[str]) -> None:
    """Put the types of keys of each database together: ``db0`` becomes ``keys=12,expires=3``.

    The counts come from a scan. Before the first scan all of them are 0, and nothing is known: the section goes.
    """
    sums: dict[str, tuple[int, int]] = {}
    for line in lines:
        if (found := _KEYS_OF_A_TYPE.fullmatch(line)) is not None:
            keys, expires = sums.get(found[1], (0, 0))
            sums[found[1]] = keys + int(found[2]), expires + int(found[3])
    if not any(keys for keys, _ in sums.values()) and any(map(_NEVER.match, lines)):
        del info["Keyspace"]
    else:
        info["Keyspace"] |= {db: f"keys={keys},expires={expires}" for db, (keys, expires) in sums.items()}


def parse_pairs(text: str) -> dict[str, str]:
    """Split ``keys=1,expires=0,avg_ttl=0`` into a dict; a part without ``=`` is passed over."""
    pairs = (part.partition("=") for part in text.split(","))
    return {key: value for key, equals, value in pairs if equals}


def parse_replica(text: str) -> ReplicaInfo | None:
    """Read ``ip=10.0.0.7,port=6379,state=online,offset=2228,lag=0``; None when it does not say who it is.

    IPv6 addresses come as they are, ``lag`` came with Redis 3.0, and newer servers add further pairs.
    """
    pairs = parse_pairs(text)
    if not (pairs.get("ip") and pairs.get("port")):
        return None
    return ReplicaInfo(pairs["ip"], pairs["port"], pairs.get("state", ""), pairs.get("offset"), pairs.get("lag"))


_LINE = re.compile(r"^module:([^\r\n]*)", re.MULTILINE)
_PAIR = re.compile(r"(?:^|,)([a-z_]+)=(\[[^\]]*\]|[^,]*)")


def parse_modules(text: str) -> list[dict[str, str]]:
    r"""Return the pairs of every module, with lists as they are spelled.

    >>> parse_modules("module:name=search,ver=21005,usedby=[],using=[ReJSON]\r\n")
    [{'name': 'search', 'ver': '21005', 'usedby': '[]', 'using': '[ReJSON]'}]
    """
    return [dict(_PAIR.findall(line)) for line in _LINE.findall(text)]


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
