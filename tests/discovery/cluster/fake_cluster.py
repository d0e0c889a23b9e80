"""A cluster of fake nodes on real sockets; the test sets what each node reports about the others."""

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
    """One line of CLUSTER NODES, which describes one node."""

    id: str
    address: str
    flags: str = "master"
    master: str = "-"
    epoch: int = 1
    slots: str = ""

    def text(self, queried: str) -> str:
        flags = f"myself,{self.flags}" if self.id == queried else self.flags
        return f"{self.id} {self.address} {flags} {self.master} 0 0 {self.epoch} connected {self.slots}".rstrip()


def cluster_nodes_text(lines: list[Line], queried: str = "") -> str:
    """Return the reply of the node ``queried`` to CLUSTER NODES."""
    return "".join(f"{line.text(queried)}\n" for line in lines)


class FakeNode(FakeServer):
    """A node of a cluster."""

    def __init__(self, node_id: str) -> None:
        super().__init__()
        self.id = node_id
        #: returns the reply to CLUSTER NODES, as lines
        self.view: Callable[[], list[Line]] = list
        #: the reply to CLUSTER SHARDS
        self.shards: Response = error("ERR Unknown subcommand or wrong number of arguments for 'SHARDS'")

    @property
    def endpoint(self) -> Endpoint:
        return parse_url(self.url).endpoint

    @property
    def line(self) -> Line:
        """What another node reports about this node while both are healthy."""
        return Line(self.id, f"127.0.0.1:{self.port}@{self.port + 10000}")

    def request_count(self, subcommand: str) -> int:
        """Return how often the node received a subcommand of CLUSTER."""
        return sum(command[:2] == ("CLUSTER", subcommand) for command in self.received)

    def _response(self, command: tuple[str, ...]) -> Response:
        if command[:2] == ("CLUSTER", "NODES") and "CLUSTER" not in self._scripts:
            return bulk(cluster_nodes_text(self.view(), self.id))
        if command[:2] == ("CLUSTER", "SHARDS"):
            return self.shards
        return super()._response(command)


def shards_reply(*endpoints: str | None) -> Reply:
    """Return the reply to CLUSTER SHARDS of nodes that prefer these endpoints."""
    parts = []
    for endpoint in endpoints:
        value = b"$-1\r\n" if endpoint is None else b"$%d\r\n%b\r\n" % (len(endpoint), endpoint.encode())
        hostname = b"$8\r\nhostname\r\n$9\r\nlocalhost\r\n"
        node = b"*6\r\n$2\r\nid\r\n$1\r\na\r\n$8\r\nendpoint\r\n" + value + hostname
        parts.append(b"*2\r\n$5\r\nnodes\r\n*1\r\n" + node)
    return Reply(b"*%d\r\n" % len(parts) + b"".join(parts))


@dataclass
class ClusterSetup:
    """A fake cluster, and the context of a source that follows it."""

    stack: AsyncExitStack
    nodes: dict[str, FakeNode] = field(default_factory=dict)
    lines: dict[str, Line] = field(default_factory=dict)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    clock: ManualClock = field(default_factory=ManualClock)
    is_allowed: Callable[[Endpoint], bool] = lambda _endpoint: True
    rejected: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.metrics = DiscoveryMetrics(self.registry)

    async def start(self, shape: str) -> None:
        """Start nodes: ``"a a1 b b1"`` are two masters that share the slots, and one replica of each."""
        for name in shape.split():
            node = await self.stack.enter_async_context(FakeNode(name))
            self.nodes[name] = node
            self.lines[name] = node.line
            node.view = lambda: list(self.lines.values())
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
        """Change what all nodes report about one node."""
        self.lines[name] = replace(self.lines[name], **parts)  # type: ignore[arg-type]

    def set_view(self, name: str, lines: list[Line]) -> None:
        """Set what one node reports about all nodes."""
        self.nodes[name].view = lambda: lines

    def address(self, name: str) -> str:
        return f"127.0.0.1:{self.nodes[name].port}"

    def make_source(
        self,
        *seeds: str,
        owner: bool = True,
        known: Callable[[], list[TargetSettings]] = list,
        template: dict[str, object] | None = None,
        **options: object,
    ) -> ClusterSource:
        """Return a source with these nodes as seeds."""
        endpoints = [self.nodes[seed].endpoint for seed in seeds]
        first_seed = target_settings(f"redis://{endpoints[0].address}", name="cart", **(template or {}))
        cluster_settings = ClusterSettings(**{"prefer": "ip", **options})
        settings = SourceSettings(
            "cluster",
            "cart",
            cluster_settings,
            first_seed,
            seeds=tuple(first_seed.at(endpoint, "cart") for endpoint in endpoints),
        )
        context = SourceContext(
            self.metrics,
            self.clock,
            ConnectLimiter(),
            request_refresh=lambda: None,
            reject=lambda reason, description, _count=1: self.rejected.append((reason, description)),
            probe_status=lambda _name: None,
            is_owner=owner,
            is_allowed=self._is_allowed_now,
            known_targets=known,
        )
        source = ClusterSource(settings, cluster_settings, context)
        self.stack.push_async_callback(source.aclose)
        return source

    def _is_allowed_now(self, endpoint: Endpoint) -> bool:
        return self.is_allowed(endpoint)  # a test may replace it after the source was made

    async def refresh_names(self, source: ClusterSource) -> set[str]:
        """Refresh, and return the nodes that are targets: their names, or the addresses of unknown nodes."""
        names = {self.address(name): name for name in self.nodes}
        return {names.get(target.address, target.address) for target in await source.refresh()}

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"cluster": "cart", **labels})

    def nonzero(self, name: str, label: str) -> Iterator[tuple[str, float]]:
        """Yield the samples of a family that are not 0, by one of their labels."""
        for family in self.registry.collect():
            for sample in family.samples:
                if sample.name == name and sample.value:
                    yield sample.labels[label], sample.value
