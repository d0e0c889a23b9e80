"""Replies of real servers, recorded in ``tests/replies``, as bytes that a simulated server can send."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from redis_pulse.errors import TargetError
from tests.replay import load

SOFTWARE = ("redis-6.2.14", "redis-7.0.15", "redis-8.2.3", "valkey-8.1.8", "valkey-9.1.2")
#: Fields of INFO that a server fills in. Every other field keeps its recorded value.
FIELDS = (
    *("run_id", "tcp_port", "uptime_in_seconds", "uptime_in_days", "total_commands_processed", "loading"),
    *("rdb_last_save_time", "rdb_changes_since_last_save", "used_cpu_user", "total_connections_received"),
    *("instantaneous_ops_per_sec", "server_time_usec", "connected_clients"),
)
_FIELD = re.compile(rf"^({'|'.join(FIELDS)}):[^\r\n]*", re.MULTILINE)
#: Commands in the sections with a line for each command. More lines cost time and test nothing further.
MAX_COMMANDS = 4
#: The whole section, because it changes with each failover.
_REPLICATION = re.compile(r"^# Replication\r\n.*?\r\n\r\n", re.MULTILINE | re.DOTALL)


def encode(value: Any) -> bytes:
    """Return a value as RESP2."""
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, bool | int):
        return b":%d\r\n" % value
    if isinstance(value, TargetError):
        text = str(value)
        return f"-{'' if text.split(' ', 1)[0].isupper() else 'ERR '}{text}\r\n".encode()
    if isinstance(value, list | tuple):
        return b"*%d\r\n" % len(value) + b"".join([encode(item) for item in value])
    data = value if isinstance(value, bytes) else str(value).encode()
    return b"$%d\r\n%b\r\n" % (len(data), data)


def command(*words: str) -> bytes:
    """Return a command as an array of bulk strings."""
    return encode([word.encode() for word in words])


class Template(NamedTuple):
    """The replies of one software in one role."""

    #: INFO with ``%(field)s`` for the fields that a server fills in, and ``%(replication)s``
    info: bytes
    #: replies to all other commands, encoded, by their words in upper case
    replies: dict[tuple[str, ...], bytes]
    #: the settings of CONFIG GET
    config: dict[str, str]


@cache
def template(software: str, role: str) -> Template:
    """Return what is recorded of a software in a role: ``primary``, ``replica``, ``cluster`` or ``sentinel``."""
    recorded = load(software, role)
    replies: dict[tuple[str, ...], bytes] = {}
    config: dict[str, str] = {}
    info = ""
    for (_, words), values in recorded.items():
        value = values[-1]
        if words == ("CONFIG", "GET", "*") and isinstance(value, list):
            names = [item.decode() for item in value]
            config |= dict(zip(names[::2], names[1::2], strict=True))
        elif words == ("LATENCY", "HISTOGRAM") and isinstance(value, list):
            replies["LATENCY", "HISTOGRAM"] = encode(value[: 2 * MAX_COMMANDS])
        elif words[0] == "INFO" and isinstance(value, bytes):
            info = max(info, value.decode(), key=len)
        else:
            replies.setdefault(normalize(tuple(str(word) for word in words)), encode(value))
    text = _FIELD.sub(r"\1:%(\1)s", "".join(_short(info)).replace("%", "%%"))
    text = _REPLICATION.sub("%(replication)s", text)
    return Template(text.encode(), replies, config)


def _short(info: str) -> Iterator[str]:
    counts: Counter[str] = Counter()
    for line in info.splitlines(keepends=True):
        kind = line[: line.find("_")]
        counts[kind] += 1
        if kind not in ("cmdstat", "latency") or counts[kind] <= MAX_COMMANDS:
            yield line


def normalize(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return a command with its first two words in upper case."""
    return (*(word.upper() for word in words[:2]), *words[2:])
