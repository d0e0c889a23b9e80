"""A Sentinel that says what it is told to say, and the source that asks several of them."""

from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from redis_pulse.client import ConnectLimiter
from redis_pulse.config import Endpoint, ProbeSettings, SentinelSettings, SourceSettings
from redis_pulse.discovery import ProbeStatus, SourceContext
from redis_pulse.discovery.sentinel.source import SentinelSource
from redis_pulse.telemetry import DiscoveryMetrics
from tests.fakes import OK, Command, FakeServer, ManualClock, Reply, Response, error
from tests.harness import target_settings


def encoded(value: Any) -> bytes:
    """Write a reply."""
    if value is None:
        return b"*-1\r\n"
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(map(encoded, value))
    if isinstance(value, int):
        return b":%d\r\n" % value
    data = str(value).encode()
    return b"$%d\r\n%b\r\n" % (len(data), data)


def fields(name: str, address: str, **more: object) -> list[object]:
    """Write an instance as a Sentinel does, as a flat list."""
    host, _, port = address.rpartition(":")
    pairs = {"name": name, "ip": host.strip("[]"), "port": port, **more}
    return [word for key, value in pairs.items() for word in (key.replace("_", "-"), str(value))]


class FakeMaster:
    """What a Sentinel says of one master."""

    def __init__(self, address: str, *replicas: str, epoch: int = 0) -> None:
        self.address, self.replicas, self.epoch = address, list(replicas), epoch
        #: what SENTINEL MASTERS says, when it lags behind
        self.listed: str | None = None
        self.flags = "master"
        self.silent = 0
        #: id → address
        self.sentinels: dict[str, str] = {}
        self.quorum = "+OK 3 usable Sentinels. Quorum and failover authorization can be reached"


class FakeSentinel(FakeServer):
    """A Sentinel on a real socket; ``masters`` is what it says, ``denied`` the commands that it denies."""

    def __init__(self, number: str = "", **masters: FakeMaster) -> None:
        super().__init__()
        self.number = number
        self.masters = masters
        self.denied: set[str] = set()
        #: the connections on which somebody listens
        self.listeners: list[Any] = []

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def publish(self, channel: str, text: str) -> None:
        """Send a message to everybody who listens."""
        for writer in self.listeners:
            writer.write(encoded(["message", channel, text]))

    async def _act(self, behaviour: Response, writer: Any) -> None:
        await super()._act(behaviour, writer)
        if isinstance(behaviour, Reply) and b"\r\nsubscribe\r\n" in behaviour.data:
            self.listeners.append(writer)

    def _behaviour(self, command: Command) -> Response:
        words = [word.upper() for word in command[:2]]
        if {words[0], "|".join(words)} & self.denied:
            return error(f"NOPERM this user has no permissions to run the '{'|'.join(words).lower()}' command")
        if words[0] == "SUBSCRIBE":
            acks = [["subscribe", channel, place] for place, channel in enumerate(command[1:], 1)]
            return Reply(b"".join(map(encoded, acks)))
        return self._told(words[1], *command[2:]) if words[0] == "SENTINEL" else super()._behaviour(command)

    def _told(self, word: str, *name: str) -> Response:
        if word == "MYID":
            return Reply(encoded(self.number)) if self.number else error("ERR Unknown sentinel subcommand 'myid'")
        if word == "MASTERS":
            return Reply(encoded([self._fields(name, one) for name, one in self.masters.items()]))
        if (master := self.masters.get(name[0])) is not None:
            return self._of(word, master)
        return Reply(encoded(None)) if word.startswith("GET") else error("ERR No such master with that name")

    def _fields(self, name: str, master: FakeMaster) -> list[object]:
        more = {"flags": master.flags, "config_epoch": master.epoch, "last_ok_ping_reply": master.silent}
        return fields(name, master.listed or master.address, **more)

    def _of(self, word: str, master: FakeMaster) -> Response:
        if word == "GET-MASTER-ADDR-BY-NAME":
            host, _, port = master.address.rpartition(":")
            return Reply(encoded([host.strip("[]"), port]))
        if word == "SLAVES":
            return Reply(encoded([fields(address, address) for address in master.replicas]))
        if word == "SENTINELS":
            return Reply(encoded([fields(address, address, runid=one) for one, address in master.sentinels.items()]))
        return Reply(f"{master.quorum}\r\n".encode()) if word == "CKQUORUM" else OK


class SentinelSetup:
    """A source that asks these Sentinels, on a clock turned by hand, with probes that feel what they are told."""

    def __init__(
        self, *addresses: str, owner: bool = True, allowed: Sequence[str] | None = None, **options: Any
    ) -> None:
        self.clock = ManualClock()
        self.registry = CollectorRegistry()
        self.hints = 0
        self.refused: list[tuple[str, str]] = []
        self.feelings: dict[str, ProbeStatus] = {}
        self.allowed = allowed
        around = SourceContext(
            DiscoveryMetrics(self.registry),
            self.clock,
            ConnectLimiter(),
            request_refresh=self._hint,
            reject=lambda why, what: self.refused.append((why, what)),
            probe_status=self.feelings.get,
            is_owner=owner,
            allowed=self._allowed,
        )
        options = {"hosts": addresses, "master": "cart"} | options
        credentials = options.pop("credentials", {})
        seeds = tuple(target_settings(f"redis://{one}", name=one, **credentials) for one in addresses)
        probe = ProbeSettings(interval=options.pop("probe_interval", 1))
        template = target_settings("redis://to-be-found", name="queue", labels={"team": "web"}, probe=probe)
        self.source = SentinelSource(
            SourceSettings("sentinel", "queue", SentinelSettings(**options), template, seeds=seeds), around
        )

    def _hint(self) -> None:
        self.hints += 1

    def _allowed(self, endpoint: Endpoint) -> bool:
        return self.allowed is None or endpoint.address in self.allowed

    async def places(self) -> dict[str, str]:
        """Refresh, and return where each target is."""
        return {target.name: target.address for target in await self.source.refresh()}

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"redis_sentinel_{name}", {"sentinel": "queue", **labels})

    def set_probe_status(self, address: str, silent_since: float | None = None) -> None:
        """Let the probe of ``queue/master`` feel a master that answers, or has not since then."""
        up, answered = silent_since is None, self.clock() if silent_since is None else silent_since
        self.feelings["queue/master"] = ProbeStatus(address, up, "master", True, answered, silent_since)
