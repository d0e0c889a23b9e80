"""What is known about one server: its software, version, role and identity, from its INFO replies."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Seconds. A start time computed from whole seconds of uptime varies by a second. Only a restart changes it by more.
_START_TOLERANCE = 1.5

#: The INFO field with the server's own version → the name of its software. The more reliable fields come first, because
#: many servers also claim to be Redis.
_SOFTWARE = {
    "valkey_version": "valkey",
    "dragonfly_version": "dragonfly",
    "garnet_version": "garnet",
    "kvrocks_version": "kvrocks",
    "upstash_version": "upstash",
    "tile38_version": "tile38",
    "pika_version": "pika",
    "redict_version": "redict",
    "rlec_version": "redis-enterprise",
}


@dataclass(slots=True)
class InfoQuery:
    """The arguments of INFO that work for a server, and the identity of the server for which they were found."""

    arguments: tuple[tuple[str, ...], ...]
    identity: tuple[str, ...]
    uptime: float

    @classmethod
    def from_info(cls, arguments: Iterable[tuple[str, ...]], info: Mapping[str, Mapping[str, str]]) -> "InfoQuery":
        """Return the query with which ``info`` was received."""
        return cls(tuple(arguments), _identity(info), _uptime(info))

    def is_same_server(self, info: Mapping[str, Mapping[str, str]]) -> bool:
        """Return whether this reply is from the same server, and the server has not restarted."""
        previous, self.uptime = self.uptime, _uptime(info)
        return _identity(info) == self.identity and self.uptime >= previous


def _identity(info: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    fields = info.get("Server") or info.get("", {})
    return (*software_of(fields), fields.get("redis_version", ""), fields.get("run_id", ""))


def _uptime(info: Mapping[str, Mapping[str, str]]) -> float:
    text = (info.get("Server") or info.get("", {})).get("uptime_in_seconds", "")
    return float(text) if text.isdecimal() and text.isascii() and len(text) < 20 else 0.0


def software_of(fields: Mapping[str, str]) -> tuple[str, str]:
    """Return the software of a server in lower case, and its version.

    The version may differ from the version of Redis that the server claims. KeyDB has no version
    field. A field that only KeyDB has identifies it, or the name of its program.
    """
    for name, software in _SOFTWARE.items():
        if version := fields.get(name):
            return software, version.removeprefix("df-").removeprefix("v")
    version = fields.get("redis_version", "")
    if "mvcc_depth" in fields or fields.get("executable", "").endswith("keydb-server"):
        return "keydb", version
    return (fields.get("server_name") or "redis").lower(), version


@dataclass(slots=True)
class Server:
    """The newest knowledge about the server of a target. It is empty until the first INFO reply."""

    #: whether the address of the target is on this host
    local: bool = False
    version: str = ""
    #: ``redis``, ``valkey``, ``dragonfly``, … in lower case
    software: str = ""
    #: ``master``, ``slave`` or ``sentinel``, as the server reports it
    role: str = ""
    #: ``standalone``, ``cluster`` or ``sentinel``
    mode: str = ""
    run_id: str = ""
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Unix time of the start; see ``stable_start_time``
    start_time: float | None = None
    #: the newest replies to INFO, their text, and the parsed fields; see ``collectors/support/info_lines.py``
    newest_info: tuple[list[Any], str, Any] | None = field(default=None, repr=False)
    #: the INFO query that works for this server; None until it was found
    info_query: InfoQuery | None = field(default=None, repr=False)
    #: fields with an underflow of an unsigned number, which were counted once as unreadable
    underflows: set[str] = field(default_factory=set, repr=False)

    def update(self, fields: Mapping[str, str]) -> None:
        """Take over an INFO reply, given as one dict of all its fields."""
        self.software, self.version = software_of(fields)
        self.mode = fields.get("redis_mode") or fields.get("server_mode", "")
        # The INFO of a Sentinel has no section Replication, so it has no role.
        self.role = fields.get("role") or ("sentinel" if self.mode == "sentinel" else "")
        run_id = fields.get("run_id", "")
        if run_id != self.run_id:
            self.run_id, self.start_time = run_id, None
            self.underflows.clear()
        self.fields = fields

    def stable_start_time(self, estimate: float) -> float:
        """Return the start time to publish, given a new estimate.

        It is the first estimate, until the server has another ``run_id`` or an estimate differs by more than 1.5 s. So
        ``changes()`` over it counts restarts and nothing else.
        """
        if self.start_time is None or abs(estimate - self.start_time) > _START_TOLERANCE:
            self.start_time = estimate
        return self.start_time

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """The key of remembered capabilities. When it changes, the capabilities are queried again."""
        return (self.software, self.version, self.role, self.run_id)
