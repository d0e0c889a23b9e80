"""What is known about one server: its software, version, role and identity, from its INFO replies."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from redis_pulse.server_info.identity import UNKNOWN, identify, software_of
from redis_pulse.server_info.nodes import AnsweringNodes
from redis_pulse.server_info.profile import Profile

#: Seconds. A start time computed from whole seconds of uptime varies by a second. Only a restart changes it by more.
_START_TOLERANCE = 1.5

#: The fields that the next poll needs if its INFO fails, and those that the canary reads between two polls. The
#: databases are kept too. A real value has at most 100 characters.
_KEPT_FIELDS = frozenset({"cluster_enabled", "tile38_version", "master_host", "master_port"})
_MAX_KEPT_FIELDS, _MAX_KEPT_LENGTH = 1000, 200
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")
#: The names of the fields that are kept, among the lines with all names.
_KEPT_NAMES = re.compile(rf"\n(db.*|{'|'.join(sorted(_KEPT_FIELDS))})(?=\n)")


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


class ParsedInfo(NamedTuple):
    """Replies to INFO and their content; see ``collectors/support/info_lines.py``."""

    replies: list[Any]
    #: section → field → value
    sections: dict[str, dict[str, str]]
    #: the values of the lines ``module:…``
    modules: list[str]
    #: fields beyond a limit
    dropped: int
    #: section → name → its pairs, of the sections whose lines have names that users choose
    named: dict[str, dict[str, dict[str, str]]]


@dataclass(slots=True)
class Server:
    """The newest knowledge about the server of a target. It is empty until the first INFO reply."""

    #: whether the address of the target is on this host
    local: bool = False
    #: the host name in the address of the target
    host: str = ""
    #: the managed service to which the login of the target belongs, or empty
    login_service: str = ""
    version: str = ""
    #: ``redis``, ``valkey``, ``dragonfly``, … in lower case
    software: str = ""
    #: the managed service that runs the server: ``elasticache``, ``azure-cache``, …; empty if none is known
    service: str = ""
    #: what differs from Redis in this server
    profile: Profile = field(default=UNKNOWN, repr=False)
    #: ``master``, ``slave`` or ``sentinel``, as the server reports it
    role: str = ""
    #: ``standalone``, ``cluster`` or ``sentinel``
    mode: str = ""
    run_id: str = ""
    #: all fields of the newest INFO during a poll, and a few of them between two polls
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Unix time of the start; see ``stable_start_time``
    start_time: float | None = None
    #: what the newest replies to INFO contained. It is dropped at the end of a poll: it may be large
    newest_info: "ParsedInfo | None" = field(default=None, repr=False)
    #: the INFO query that works for this server; None until it was found
    info_query: InfoQuery | None = field(default=None, repr=False)
    #: the nodes that answer at the address of the target
    nodes: AnsweringNodes = field(default_factory=AnsweringNodes, repr=False)
    #: fields with an underflow of an unsigned number, which were counted once as unreadable
    underflows: set[str] = field(default_factory=set, repr=False)

    def update(self, fields: Mapping[str, str]) -> None:
        """Take over an INFO reply, given as one dict of all its fields."""
        self.software, self.version, self.service, self.mode, self.profile = identify(
            fields, self.host, self.login_service
        )
        # The INFO of a Sentinel has no section Replication, so it has no role.
        self.role = fields.get("role") or ("sentinel" if self.mode == "sentinel" else "")
        run_id = fields.get("run_id", "")
        self.nodes.replied(run_id)
        if run_id != self.run_id:
            self.run_id = run_id
            if not self.has_many_nodes:
                self.start_time = None
                self.underflows.clear()
        self.fields = fields

    def end_poll(self) -> None:
        """Drop the reply to INFO, and most of its fields. A thousand targets would keep 50 MB, a hostile one 16 MB."""
        self.newest_info = None
        fields = self.fields
        lines = "\n".join(("", *fields, ""))  # to look at each of 700 names takes six times as long
        names = [name for name in _KEPT_NAMES.findall(lines) if name in fields]
        kept = ((name, fields[name]) for name in names if len(name) + len(fields[name]) <= _MAX_KEPT_LENGTH)
        self.fields = dict(islice(kept, _MAX_KEPT_FIELDS))

    def stable_start_time(self, estimate: float) -> float:
        """Return the start time to publish, given a new estimate.

        It is the first estimate, until the server has another ``run_id`` or an estimate differs by more than 1.5 s. So
        ``changes()`` over it counts restarts and nothing else. Where several nodes answer, it stays the first one.
        """
        if self.start_time is not None and self.has_many_nodes:
            return self.start_time
        if self.start_time is None or abs(estimate - self.start_time) > _START_TOLERANCE:
            self.start_time = estimate
        return self.start_time

    @property
    def has_many_nodes(self) -> bool:
        """Whether several nodes answer at the address of the target, so that two replies may be from two of them."""
        return self.profile.has_many_nodes or self.nodes.are_several

    def has(self, command: str) -> bool:
        """Return whether this server has a command that only some servers have."""
        since = self.profile.has.get(command)
        return since is not None and version_numbers(self.version) >= since

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """The key of remembered capabilities. When it changes, the capabilities are queried again."""
        return (self.software, self.version, self.role, "" if self.has_many_nodes else self.run_id)


def version_numbers(text: str) -> tuple[int, int]:
    """Return the first two numbers of a version, ``(0, 0)`` if it has none."""
    match = _VERSION.match(text)
    return (int(match[1]), int(match[2])) if match else (0, 0)
