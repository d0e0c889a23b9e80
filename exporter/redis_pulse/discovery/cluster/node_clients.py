"""Query the nodes of a cluster for their views.

Each node has one connection and one circuit breaker. A limit holds for concurrent queries, and a deadline for all.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from redis_pulse.circuit_breaker import CircuitBreaker
from redis_pulse.client import ConnectLimiter, NullClientObserver, TargetClient
from redis_pulse.config import Endpoint, TargetSettings
from redis_pulse.discovery.cluster.topology import NodeView
from redis_pulse.errors import RejectedError, TargetError
from redis_pulse.parse.cluster_nodes import collect_nodes, iter_nodes
from redis_pulse.parse.reply import as_text
from redis_pulse.slices import sliced
from redis_pulse.tokens import TokenRegistry

MAX_CONCURRENT_QUERIES = 16
#: Limit for the nodes of one cluster. Redis recommends at most 1000.
MAX_NODES = 2000
#: Lines of CLUSTER NODES to parse before other tasks run.
NODES_PER_SLICE = 100


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The result of querying some nodes; ``errors`` are those of the nodes without a view, by address."""

    views: list[NodeView]
    errors: dict[str, TargetError]


class NodeClients:
    """The clients of the nodes of one cluster, all with the settings of ``template``."""

    def __init__(
        self,
        template: TargetSettings,
        *,
        clock: Callable[[], float],
        connect_limiter: ConnectLimiter,
        tokens: TokenRegistry | None = None,
    ) -> None:
        # One connection is enough. It is used so often that a dead connection shows without health checks.
        connection = template.connection.model_copy(update={"max_connections": 1, "health_check_interval": 0.0})
        self._template = template.model_copy(update={"connection": connection})
        self._clock = clock
        self._connect_limiter = connect_limiter
        self._tokens = tokens
        self._clients: dict[Endpoint, TargetClient] = {}
        self._semaphore = asyncio.Semaphore(MAX_CONCURRENT_QUERIES)
        #: whether ``aclose`` was called; no query starts afterwards
        self.closed = False

    async def query(self, endpoints: Iterable[Endpoint], deadline: float) -> QueryResult:
        """Query nodes for their views; a node without a reply by ``deadline`` has no view."""
        queried = list(dict.fromkeys(endpoints))
        results = await asyncio.gather(*(self._view(endpoint, deadline) for endpoint in queried))
        views = [result for result in results if isinstance(result, NodeView)]
        pairs = zip(queried, results, strict=True)
        return QueryResult(views, {at.address: result for at, result in pairs if isinstance(result, TargetError)})

    async def shards(self, endpoint: Endpoint, deadline: float) -> Any:
        """Return the reply of one node to CLUSTER SHARDS. Raises TargetError."""
        return await self._execute(endpoint, "SHARDS", deadline)

    async def retain(self, known: Iterable[Endpoint], connected: Iterable[Endpoint]) -> None:
        """Drop the clients of all but the ``known`` nodes, and close the connections to all but ``connected``."""
        known, connected = set(known), set(connected)
        idle = [client for endpoint, client in self._clients.items() if endpoint not in connected]
        self._clients = {endpoint: client for endpoint, client in self._clients.items() if endpoint in known}
        await asyncio.gather(*(client.aclose() for client in idle))

    async def aclose(self) -> None:
        """Close every connection, and reject all further queries."""
        self.closed = True
        await asyncio.gather(*(client.aclose() for client in self._clients.values()))

    async def _view(self, endpoint: Endpoint, deadline: float) -> NodeView | TargetError:
        try:
            text = as_text(await self._execute(endpoint, "NODES", deadline))
            view = await _parse_view(text or "", endpoint)
        except TargetError as error:
            return error
        except ValueError:  # the reply of one node must not cost the views of the others
            view = None
        return view or TargetError("the reply to CLUSTER NODES cannot be read")

    async def _execute(self, endpoint: Endpoint, subcommand: str, deadline: float) -> Any:
        async with self._semaphore:
            if self.closed:
                raise RejectedError("the source is closed")
            deadline = min(deadline, self._clock() + self._template.poll.timeout)
            return await self._client(endpoint).commands("topology", deadline).execute("CLUSTER", subcommand)

    def _client(self, endpoint: Endpoint) -> TargetClient:
        if endpoint not in self._clients:
            target = self._template.at(endpoint, endpoint.address)
            breaker = CircuitBreaker(target.breaker, self._clock, on_change=lambda *_: None)
            # The observer counts nothing: the same node is a target, and its probes report its health.
            self._clients[endpoint] = TargetClient(
                target,
                breaker,
                NullClientObserver(),
                clock=self._clock,
                connect_limiter=self._connect_limiter,
                tokens=self._tokens,
            )
        return self._clients[endpoint]


async def _parse_view(text: str, endpoint: Endpoint) -> NodeView | None:
    """Return the view in a reply, or None if it has none. Raises TargetError if it lists too many nodes."""
    lines = text.splitlines()
    if len(lines) > MAX_NODES:
        raise TargetError(f"CLUSTER NODES lists {len(lines)} nodes, and at most {MAX_NODES} are read")
    nodes = collect_nodes([node async for node in sliced(iter_nodes(text), NODES_PER_SLICE)])
    return NodeView.from_nodes(nodes.by_id, endpoint)


class QueryRound:
    """The queries of one refresh; no node is queried twice."""

    def __init__(self, nodes: NodeClients, deadline: float) -> None:
        self.deadline = deadline
        self._nodes = nodes
        self._queried: set[Endpoint] = set()
        self.views: list[NodeView] = []
        #: the error of the first node that was queried
        self.error = "no node is known"

    async def query(self, endpoints: Iterable[Endpoint], limit: int | None = None) -> bool:
        """Query those nodes that this round has not queried yet; return whether they sent a view."""
        new = [endpoint for endpoint in dict.fromkeys(endpoints) if endpoint not in self._queried][:limit]
        if not new:
            return False
        result = await self._nodes.query(new, self.deadline)
        if not self._queried and result.errors:
            self.error = "{}: {}".format(*next(iter(result.errors.items())))
        self._queried.update(new)
        self.views += result.views
        return bool(result.views)
