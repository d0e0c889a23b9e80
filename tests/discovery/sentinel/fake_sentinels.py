"""A Sentinel with scripted replies, and a source that queries several of them."""

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
    """Return a value as a RESP2 reply."""
    if value is None:
        return b"*-1\r\n"
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(map(encoded, value))
    if isinstance(value, int):
        return b":%d\r\n" % value
    data = str(value).encode()
    return b"$%d\r\n%b\r\n" % (len(data), data)


def fields(name: str, address: str, **more: object) -> list[object]:
    """Return an instance as a Sentinel reports it: a flat list of fields."""
    host, _, port = address.rpartition(":")
    pairs = {"name": name, "ip": host.strip("[]"), "port": port, **more}
    return [word for key, value in pairs.items() for word in (key.replace("_", "-"), str(value))]


class FakeMaster:
    """What a Sentinel reports about one master."""

    def __init__(self, address: str, *replicas: str, epoch: int = 0) -> None:
        self.address, self.replicas, self.epoch = address, list(replicas), epoch
        #: the address in SENTINEL MASTERS while that lags behind; None if it is the same
        self.listed: str | None = None
        self.flags = "master"
        self.silent_milliseconds = 0
        #: the other Sentinels: run id → address
        self.sentinels: dict[str, str] = {}
        self.quorum = "+OK 3 usable Sentinels. Quorum and failover authorization can be reached"


class FakeSentinel(FakeServer):
    """A Sentinel on a real socket."""

    def __init__(self, run_id: str = "", **masters: FakeMaster) -> None:
        super().__init__()
        #: without a run id it does not know the command SENTINEL MYID
        self.run_id = run_id
        self.masters = masters
        #: commands that the user may not run, such as ``SUBSCRIBE`` and ``SENTINEL|SLAVES``
        self.denied: set[str] = set()
        #: the connections with a subscription
        self.subscribers: list[Any] = []

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def publish(self, channel: str, text: str) -> None:
        """Send a message to all subscribers."""
        for writer in self.subscribers:
            writer.write(encoded(["message", channel, text]))

    async def _perform(self, behaviour: Response, writer: Any) -> None:
        await super()._perform(behaviour, writer)
        if isinstance(behaviour, Reply) and b"\r\nsubscribe\r\n" in behaviour.data:
            self.subscribers.append(writer)

    def _response(self, command: Command) -> Response:
        words = [word.upper() for word in command[:2]]
        if {words[0], "|".join(words)} & self.denied:
            return error(f"NOPERM this user has no permissions to run the '{'|'.join(words).lower()}' command")
        if words[0] == "SUBSCRIBE":
            acks = [["subscribe", channel, count] for count, channel in enumerate(command[1:], 1)]
            return Reply(b"".join(map(encoded, acks)))
        return self._sentinel_reply(words[1], *command[2:]) if words[0] == "SENTINEL" else super()._response(command)

    def _sentinel_reply(self, subcommand: str, *name: str) -> Response:
        if subcommand == "MYID":
            return Reply(encoded(self.run_id)) if self.run_id else error("ERR Unknown sentinel subcommand 'myid'")
        if subcommand == "MASTERS":
            return Reply(encoded([self._fields(name, one) for name, one in self.masters.items()]))
        if (master := self.masters.get(name[0])) is not None:
            return self._master_reply(subcommand, master)
        return Reply(encoded(None)) if subcommand.startswith("GET") else error("ERR No such master with that name")

    def _fields(self, name: str, master: FakeMaster) -> list[object]:
        more = {"flags": master.flags, "config_epoch": master.epoch, "last_ok_ping_reply": master.silent_milliseconds}
        return fields(name, master.listed or master.address, **more)

    def _master_reply(self, subcommand: str, master: FakeMaster) -> Response:
        if subcommand == "GET-MASTER-ADDR-BY-NAME":
            host, _, port = master.address.rpartition(":")
            return Reply(encoded([host.strip("[]"), port]))
        if subcommand == "SLAVES":
            return Reply(encoded([fields(address, address) for address in master.replicas]))
        if subcommand == "SENTINELS":
            others = master.sentinels.items()
            return Reply(encoded([fields(address, address, runid=run_id) for run_id, address in others]))
        return Reply(f"{master.quorum}\r\n".encode()) if subcommand == "CKQUORUM" else OK


class SentinelSetup:
    """A source that queries these Sentinels, with a manual clock and scripted probes."""

    def __init__(
        self, *addresses: str, owner: bool = True, allowed: Sequence[str] | None = None, **options: Any
    ) -> None:
        self.clock = ManualClock()
        self.registry = CollectorRegistry()
        self.refresh_requests = 0
        self.rejected: list[tuple[str, str]] = []
        self.probe_statuses: dict[str, ProbeStatus] = {}
        self.allowed = allowed
        context = SourceContext(
            DiscoveryMetrics(self.registry),
            self.clock,
            ConnectLimiter(),
            request_refresh=self._count_request,
            reject=lambda reason, description, _count=1: self.rejected.append((reason, description)),
            probe_status=self.probe_statuses.get,
            is_owner=owner,
            is_allowed=self._is_allowed,
        )
        options = {"hosts": addresses, "master": "cart"} | options
        credentials = options.pop("credentials", {})
        seeds = tuple(target_settings(f"redis://{one}", name=one, **credentials) for one in addresses)
        probe = ProbeSettings(interval=options.pop("probe_interval", 1))
        template = target_settings("redis://placeholder", name="queue", labels={"team": "web"}, probe=probe)
        sentinel_settings = SentinelSettings(**options)
        settings = SourceSettings("sentinel", "queue", sentinel_settings, template, seeds=seeds)
        self.source = SentinelSource(settings, sentinel_settings, context)

    def _count_request(self) -> None:
        self.refresh_requests += 1

    def _is_allowed(self, endpoint: Endpoint) -> bool:
        return self.allowed is None or endpoint.address in self.allowed

    async def refresh_addresses(self) -> dict[str, str]:
        """Refresh, and return the address of each target by name."""
        return {target.name: target.address for target in await self.source.refresh()}

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"redis_sentinel_{name}", {"sentinel": "queue", **labels})

    def set_probe_status(self, address: str, silent_since: float | None = None) -> None:
        """Set what the probe of ``queue/master`` measures: a master that replies, or has been silent since then."""
        is_up, last_reply_at = silent_since is None, self.clock() if silent_since is None else silent_since
        self.probe_statuses["queue/master"] = ProbeStatus(address, is_up, "master", True, last_reply_at, silent_since)
