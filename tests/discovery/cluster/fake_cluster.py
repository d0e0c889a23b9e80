"""A cluster of fake nodes on real sockets: each says of the others what it is told to."""

from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from prometheus_client import CollectorRegistry

from redis_pulse.client import ConnectLimiter
from redis_pulse.config import ClusterSettings, Endpoint, SourceSettings, TargetSettings, parse_url
from redis_pulse.discovery import SourceContext
from redis_pulse.discovery.cluster.source import ClusterSource
from redis_pulse.telemetry import DiscoveryMetrics
from tests.fakes import FakeServer, ManualClock, Reply, Response, bulk, error
from tests.harness import target_settings


@dataclass(frozen=True)
class Line:
    """What a line of CLUSTER NODES says of one node."""

    id: str
    address: str
    flags: str = "master"
    master: str = "-"
    epoch: int = 1
    slots: str = ""

    def text(self, asked: str) -> str:
        flags = f"myself,{self.flags}" if self.id == asked else self.flags
        return f"{self.id} {self.address} {flags} {self.master} 0 0 {self.epoch} connected {self.slots}".rstrip()


def text(lines: list[Line], asked: str = "") -> str:
    """Write CLUSTER NODES as the node ``asked`` answers it."""
    return "".join(f"{line.text(asked)}\n" for line in lines)


class FakeNode(FakeServer):
    """A node whose ``sees`` is what it says of the cluster; ``shards`` answers CLUSTER SHARDS."""

    def __init__(self, identity: str) -> None:
        super().__init__()
        self.id = identity
        self.sees: Callable[[], list[Line]] = list
        self.shards: Response = error("ERR Unknown subcommand or wrong number of arguments for 'SHARDS'")

    @property
    def endpoint(self) -> Endpoint:
        return parse_url(self.url).endpoint

    @property
    def line(self) -> Line:
        """What another one says of it while nothing is the matter."""
        return Line(self.id, f"127.0.0.1:{self.port}@{self.port + 10000}")

    def asked_for(self, word: str) -> int:
        """How often it was asked."""
        return sum(command[:2] == ("CLUSTER", word) for command in self.received)

    def _behaviour(self, command: tuple[str, ...]) -> Response:
        if command[:2] == ("CLUSTER", "NODES") and "CLUSTER" not in self._scripts:
            return bulk(text(self.sees(), self.id))
        if command[:2] == ("CLUSTER", "SHARDS"):
            return self.shards
        return super()._behaviour(command)


def endpoints_are(*endpoints: str | None) -> Reply:
    """Make the reply of CLUSTER SHARDS in which nodes want to be reached there."""
    parts = []
    for endpoint in endpoints:
        value = b"$-1\r\n" if endpoint is None else b"$%d\r\n%b\r\n" % (len(endpoint), endpoint.encode())
        hostname = b"$8\r\nhostname\r\n$9\r\nlocalhost\r\n"
        node = b"*6\r\n$2\r\nid\r\n$1\r\na\r\n$8\r\nendpoint\r\n" + value + hostname
        parts.append(b"*2\r\n$5\r\nnodes\r\n*1\r\n" + node)
    return Reply(b"*%d\r\n" % len(parts) + b"".join(parts))


@dataclass
class ClusterSetup:
    """A source of a fake cluster, with what the daemon lends it."""

    stack: AsyncExitStack
    nodes: dict[str, FakeNode] = field(default_factory=dict)
    lines: dict[str, Line] = field(default_factory=dict)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    clock: ManualClock = field(default_factory=ManualClock)
    allowed: Callable[[Endpoint], bool] = lambda _endpoint: True
    refused: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.instruments = DiscoveryMetrics(self.registry)

    async def start(self, shape: str) -> None:
        """Start nodes: ``"a a1 b b1"`` are two masters, which share the slots, with a replica each."""
        for name in shape.split():
            node = await self.stack.enter_async_context(FakeNode(name))
            self.nodes[name] = node
            self.lines[name] = node.line
            node.sees = lambda: list(self.lines.values())
        masters = [name for name in self.nodes if len(name) == 1]
        share = 16384 // len(masters)
        for name in self.nodes:
            if name in masters:
                first = masters.index(name) * share
                last = 16383 if name == masters[-1] else first + share - 1
                self.change(name, slots=f"{first}-{last}", epoch=masters.index(name) + 1)
            else:
                self.change(name, flags="slave", master=name[0])

    def change(self, name: str, **parts: str | int) -> None:
        """Let every node see something else of one."""
        self.lines[name] = replace(self.lines[name], **parts)  # type: ignore[arg-type]

    def sees(self, name: str, lines: list[Line]) -> None:
        """Let one node see something of its own."""
        self.nodes[name].sees = lambda: lines

    def address(self, name: str) -> str:
        return f"127.0.0.1:{self.nodes[name].port}"

    def source(
        self,
        *seeds: str,
        owner: bool = True,
        known: Callable[[], list[TargetSettings]] = list,
        template: dict[str, object] | None = None,
        **options: object,
    ) -> ClusterSource:
        """Make the source whose seeds are these nodes."""
        first, *_ = endpoints = [self.nodes[seed].endpoint for seed in seeds]
        of_first = target_settings(f"redis://{first.address}", name="cart", **(template or {}))
        found = SourceSettings(
            "cluster",
            "cart",
            ClusterSettings(**{"prefer": "ip", **options}),
            of_first,
            seeds=tuple(of_first.at(endpoint, "cart") for endpoint in endpoints),
        )
        around = SourceContext(
            self.instruments,
            self.clock,
            ConnectLimiter(),
            request_refresh=lambda: None,
            reject=lambda why, what: self.refused.append((why, what)),
            probe_status=lambda _name: None,
            is_owner=owner,
            allowed=self._may_be,
            known=known,
        )
        source = ClusterSource(found, around)
        self.stack.push_async_callback(source.aclose)
        return source

    def _may_be(self, endpoint: Endpoint) -> bool:
        return self.allowed(endpoint)

    async def found(self, source: ClusterSource) -> set[str]:
        """Refresh, and return the nodes that are targets, by their names where they have one."""
        names = {self.address(name): name for name in self.nodes}
        return {names.get(target.address, target.address) for target in await source.refresh()}

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"cluster": "cart", **labels})

    def counts(self, name: str, label: str) -> Iterator[tuple[str, float]]:
        """Yield what is not 0 of a family, by one of its labels."""
        for family in self.registry.collect():
            for sample in family.samples:
                if sample.name == name and sample.value:
                    yield sample.labels[label], sample.value
