"""Asks the nodes of a cluster what they see: one connection and one breaker a node, so many at once, by a deadline."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from redis_pulse.circuit_breaker import CircuitBreaker
from redis_pulse.client import ConnectLimiter, TargetClient
from redis_pulse.config import Endpoint, TargetSettings
from redis_pulse.discovery.cluster.topology import NodeView
from redis_pulse.errors import RejectedError, TargetError
from redis_pulse.parse.cluster_nodes import parse_nodes
from redis_pulse.parse.reply import as_text
from redis_pulse.server_info import Target

#: Questions that are out at once.
AT_ONCE = 16


class _Quiet:
    """Nobody counts these connects: how a node does is told by the target that it is."""

    def connected(self, seconds: float, error: TargetError | None) -> None:
        """Take no note."""

    def retried(self, operation: str) -> None:
        """Take no note."""


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What came of a round of questions; ``errors`` are those of nodes that gave no view, by address."""

    views: list[NodeView]
    errors: dict[str, TargetError]


class NodeClients:
    """The sessions with the nodes of one cluster, all with the settings of ``template``."""

    def __init__(self, template: TargetSettings, *, clock: Callable[[], float], ramp: ConnectLimiter) -> None:
        # One connection will do, and it is used often enough to know that it lives.
        connection = template.connection.model_copy(update={"max_connections": 1, "health_check_interval": 0.0})
        self._template = template.model_copy(update={"connection": connection})
        self._clock = clock
        self._connect_limiter = ramp
        self._sessions: dict[Endpoint, TargetClient] = {}
        self._places = asyncio.Semaphore(AT_ONCE)
        #: whether nobody is to be asked any more
        self.closed = False

    async def ask(self, endpoints: Iterable[Endpoint], end: float) -> QueryResult:
        """Ask for the views of nodes; who does not answer in time, by ``end`` at the latest, has none."""
        asked = list(dict.fromkeys(endpoints))
        answers = await asyncio.gather(*(self._view(endpoint, end) for endpoint in asked))
        views = [answer for answer in answers if isinstance(answer, NodeView)]
        failed = zip(asked, answers, strict=True)
        return QueryResult(views, {at.address: answer for at, answer in failed if isinstance(answer, TargetError)})

    async def shards(self, endpoint: Endpoint, end: float) -> Any:
        """Ask one node for its shards. Raises TargetError."""
        return await self._execute(endpoint, "SHARDS", end)

    async def keep(self, known: Iterable[Endpoint], connected: Iterable[Endpoint]) -> None:
        """Forget the sessions with all but the ``known`` nodes, and close the connections of all but some of them."""
        known, connected = set(known), set(connected)
        idle = [client for endpoint, client in self._sessions.items() if endpoint not in connected]
        self._sessions = {endpoint: client for endpoint, client in self._sessions.items() if endpoint in known}
        await asyncio.gather(*(client.aclose() for client in idle))

    async def aclose(self) -> None:
        """Close every connection; nobody is asked any more."""
        self.closed = True
        await asyncio.gather(*(client.aclose() for client in self._sessions.values()))

    async def _view(self, endpoint: Endpoint, end: float) -> NodeView | TargetError:
        try:
            text = as_text(await self._execute(endpoint, "NODES", end))
        except TargetError as error:
            return error
        view = NodeView.from_nodes(parse_nodes(text or "").by_id, endpoint)
        return view or TargetError("the answer to CLUSTER NODES cannot be read")

    async def _execute(self, endpoint: Endpoint, word: str, end: float) -> Any:
        async with self._places:
            if self.closed:
                raise RejectedError("it is not asked any more")
            deadline = min(end, self._clock() + self._template.poll.timeout)
            return await self._session(endpoint).commands("topology", deadline).execute("CLUSTER", word)

    def _session(self, endpoint: Endpoint) -> TargetClient:
        if endpoint not in self._sessions:
            target = Target.of(self._template.at(endpoint, endpoint.address))
            breaker = CircuitBreaker(target.settings.breaker, self._clock, on_change=lambda *_: None)
            self._sessions[endpoint] = TargetClient(
                target, breaker, _Quiet(), clock=self._clock, connect_limiter=self._connect_limiter
            )
        return self._sessions[endpoint]


class QueryRound:
    """What was asked in one refresh: nobody twice."""

    def __init__(self, nodes: NodeClients, end: float) -> None:
        self.end = end
        self._nodes = nodes
        self._asked: set[Endpoint] = set()
        self.views: list[NodeView] = []
        #: why the first one did not answer
        self.error = "there is none to ask"

    async def ask(self, endpoints: Iterable[Endpoint], most: int | None = None) -> bool:
        """Ask those that were not asked yet; return whether there are views now."""
        new = [at for at in dict.fromkeys(endpoints) if at not in self._asked][:most]
        if not new:
            return False
        answers = await self._nodes.ask(new, self.end)
        if not self._asked and answers.errors:
            self.error = "{}: {}".format(*next(iter(answers.errors.items())))
        self._asked.update(new)
        self.views += answers.views
        return bool(answers.views)
