"""A target (what we were told to watch) and a server (what we found there)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exporter.config import TargetSettings


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


@dataclass(slots=True)
class Server:
    """What the newest INFO reply says about the server behind a target; empty until the first reply."""

    #: whether the target's address is on our own machine
    local: bool = False
    version: str = ""
    #: ``redis``, ``valkey``, … in lower case
    software: str = ""
    #: ``master``, ``slave`` or ``sentinel``, in the server's own words
    role: str = ""
    #: ``standalone``, ``cluster`` or ``sentinel``
    mode: str = ""
    run_id: str = ""
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Unix time of its start; see ``started``.
    start_time: float | None = None
    #: The newest INFO reply and what was parsed from it; see ``collectors/_info.py``.
    newest_info: tuple[Any, Any] | None = field(default=None, repr=False)

    def learn(self, fields: Mapping[str, str]) -> None:
        """Take over what an INFO reply says, given as one dict of all its fields."""
        self.version = fields.get("valkey_version") or fields.get("redis_version", "")
        self.software = (fields.get("server_name") or ("valkey" if "valkey_version" in fields else "redis")).lower()
        self.mode = fields.get("redis_mode") or fields.get("server_mode", "")
        # A Sentinel's INFO has no section Replication, so no role.
        self.role = fields.get("role") or ("sentinel" if self.mode == "sentinel" else "")
        run_id = fields.get("run_id", "")
        if run_id != self.run_id:
            self.run_id, self.start_time = run_id, None
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
