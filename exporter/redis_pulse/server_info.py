"""A target (what we were told to watch) and a server (what we found there)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from redis_pulse.config import TargetSettings


@dataclass(frozen=True, slots=True)
class Target:
    """One server to watch. Equal settings make equal targets: that is how a reload knows what changed.

    ``settings`` is resolved: modules and defaults are merged in. It holds secrets only as ``SecretStr`` or as the path
    of a file that is read when a connection is made, so a rotated password needs no restart.
    """

    name: str
    settings: TargetSettings

    @classmethod
    def of(cls, settings: TargetSettings) -> "Target":
        """Make a target of the resolved settings of one."""
        return cls(settings.name, settings)

    @property
    def address(self) -> str:
        """``host:port`` or the socket's path; never a credential."""
        return self.settings.endpoint.address


#: A start time computed from whole seconds of uptime wobbles by a second; only a restart moves it further.
_START_TOLERANCE = 1.5


#: The field in which a server names its own version → what it is, the surest first: many servers claim to be Redis too.
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
    """How a server is asked for INFO (the words after it), and which server this was found out of."""

    arguments: tuple[tuple[str, ...], ...]
    identity: tuple[str, ...]
    uptime: float

    @classmethod
    def from_info(cls, asked: Iterable[tuple[str, ...]], info: Mapping[str, Mapping[str, str]]) -> "InfoQuery":
        """Remember a way that led to ``info``."""
        return cls(tuple(asked), _who(info), _uptime(info))

    def is_same_server(self, info: Mapping[str, Mapping[str, str]]) -> bool:
        """Whether this reply is of the same server, which has not started again."""
        before, self.uptime = self.uptime, _uptime(info)
        return _who(info) == self.identity and self.uptime >= before


def _who(info: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    fields = info.get("Server") or info.get("", {})
    return (*software_of(fields), fields.get("redis_version", ""), fields.get("run_id", ""))


def _uptime(info: Mapping[str, Mapping[str, str]]) -> float:
    text = (info.get("Server") or info.get("", {})).get("uptime_in_seconds", "")
    return float(text) if text.isdecimal() and text.isascii() and len(text) < 20 else 0.0


def software_of(fields: Mapping[str, str]) -> tuple[str, str]:
    """Return what a server is, in lower case, and its own version, which need not be the one of Redis that it claims.

    KeyDB names itself nowhere: it is known by a field that it alone has, or by its program.
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
    """What the newest INFO reply says about the server behind a target; empty until the first reply."""

    #: whether the target's address is on our own machine
    local: bool = False
    version: str = ""
    #: ``redis``, ``valkey``, ``dragonfly``, … in lower case
    software: str = ""
    #: ``master``, ``slave`` or ``sentinel``, in the server's own words
    role: str = ""
    #: ``standalone``, ``cluster`` or ``sentinel``
    mode: str = ""
    run_id: str = ""
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Unix time of its start; see ``started``.
    start_time: float | None = None
    #: The newest replies to INFO, their text, and what was parsed from it; see ``collectors/_info.py``.
    newest_info: tuple[list[Any], str, Any] | None = field(default=None, repr=False)
    #: How this server is asked for INFO; None until that was found out.
    info_query: InfoQuery | None = field(default=None, repr=False)
    #: Fields whose value is the underflow of an unsigned number, and which were counted as unreadable once.
    underflows: set[str] = field(default_factory=set, repr=False)

    def update(self, fields: Mapping[str, str]) -> None:
        """Take over what an INFO reply says, given as one dict of all its fields."""
        self.software, self.version = software_of(fields)
        self.mode = fields.get("redis_mode") or fields.get("server_mode", "")
        # A Sentinel's INFO has no section Replication, so no role.
        self.role = fields.get("role") or ("sentinel" if self.mode == "sentinel" else "")
        run_id = fields.get("run_id", "")
        if run_id != self.run_id:
            self.run_id, self.start_time = run_id, None
            self.underflows.clear()
        self.fields = fields

    def started(self, estimate: float) -> float:
        """Take a fresh estimate of the start time and return the one to publish, which does not wobble.

        The first estimate is kept until the server has another ``run_id`` or an estimate is more than 1.5 s away, so
        ``changes()`` over it counts restarts and nothing else.
        """
        if self.start_time is None or abs(estimate - self.start_time) > _START_TOLERANCE:
            self.start_time = estimate
        return self.start_time

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What capabilities are remembered for: when it changes, the server is asked again."""
        return (self.software, self.version, self.role, self.run_id)
