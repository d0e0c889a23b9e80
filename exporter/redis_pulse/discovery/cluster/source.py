"""The nodes of a Redis Cluster are targets: found by asking some of them, as most of them see it.

    targets: [{name: cart, url: "redis://10.0.0.7:6379", cluster: true}]   →   cart/10.0.0.7:6379, cart/10.0.0.8:6379, …

Every refresh asks up to ``VIEWS`` nodes for CLUSTER NODES, in turns where there are more; all of them only while it is
not clear what most of them see. Nobody is redirected: a server is asked because the configuration names it, or a node
that was asked lists it, and only where ``discovery.allow`` lets it be; it is a target when most nodes list it.
"""

from collections.abc import Iterable, Sequence

from redis_pulse import log
from redis_pulse.config import ClusterSettings, Endpoint, SourceSettings, TargetSettings
from redis_pulse.discovery.base import DiscoveryError, SourceContext
from redis_pulse.discovery.cluster.metrics import ClusterMetrics
from redis_pulse.discovery.cluster.node_clients import NodeClients, QueryRound
from redis_pulse.discovery.cluster.topology import (
    NodeView,
    by_node_id,
    has_majority,
    healthiest,
    majority_view,
    members,
    node_endpoint,
    states,
)
from redis_pulse.errors import AuthError, RejectedError, SkippedError, TargetError
from redis_pulse.parse.cluster_nodes import Preferred, State, preferred

#: What the user of the nodes must be allowed; the second only when ``prefer`` is ``announced``.
COMMANDS = ("cluster|nodes", "cluster|shards")
#: Seconds that one look may take.
LOOK = 20.0
#: Nodes that are asked at every refresh.
VIEWS = 16
#: Refreshes after which it is asked again which of their addresses the nodes prefer.
PREFERENCE_LASTS = 60
#: Errors that say nothing of whether a server has a command.
_NO_ANSWER = (AuthError, RejectedError, SkippedError)
#: Refreshes in a row that may fail before what they found is no longer shown as true.
FAILURES_SHOWN = 3


class ClusterSource:
    """One cluster."""

    def __init__(self, settings: SourceSettings, around: SourceContext) -> None:
        if not isinstance(settings.options, ClusterSettings):
            raise TypeError("these are the settings of another kind of source")
        self.settings = settings
        self._options = settings.options
        self._context = around
        self._seeds = [seed.endpoint for seed in settings.seeds]
        self._nodes = NodeClients(settings.seeds[0], clock=around.clock, ramp=around.connect_limiter)
        self._report = ClusterMetrics(settings.name, around.metrics if around.is_owner else None)
        self._log = log.get("discovery").bind(cluster=settings.name)
        self._view: NodeView | None = None
        self._places: dict[str, Endpoint] = {}  # by the node's id
        self._claims: dict[str, int] = {}  # what each node claimed last
        self._turn: dict[Endpoint, int] = {}  # the refresh in which each was asked last
        self._dissenters: list[Endpoint] = []
        self._refreshes = 0
        self._failures = 0
        self._preferred: Preferred | None = None
        self._preference_asked = -PREFERENCE_LASTS

    async def refresh(self) -> Sequence[TargetSettings]:
        """Look at the topology. Raises DiscoveryError when no node says anything that can be believed."""
        self._refreshes += 1
        try:
            view, views = await self._query_round()
        except DiscoveryError:
            self._failures += 1
            if self._failures >= FAILURES_SHOWN:
                self._report.clear()
            raise
        if self._nodes.closed:
            raise DiscoveryError("it is not asked any more")
        self._failures = 0
        state = states(view, views)
        places = self._place(view, complain=True)
        self._dissenters = self._report.update(self._view, view, views, state, places)
        self._view, self._places = view, places
        self._claims = {
            voter: claim
            for voter, claim in {**self._claims, **{one.node_id: one.fingerprint for one in views}}.items()
            if voter in view.nodes
        }
        self._turn |= {one.asked_at: self._refreshes for one in views}
        self._turn = {at: self._turn.get(at, 0) for at in places.values()}
        await self._nodes.keep([*places.values()], self._connected(places))
        return self._targets(view, state, places)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._nodes.aclose()

    # -- whom to ask

    async def _query_round(self) -> tuple[NodeView, list[NodeView]]:
        """Return the view that counts, and all that were seen."""
        round_ = QueryRound(self._nodes, self._context.clock() + LOOK)
        before = self._claims if self._view is not None else {}
        for endpoints in self._ways():
            if await round_.ask(endpoints):
                view = await self._agreed(round_, before)
                if view is not None:
                    return view, list(by_node_id(round_.views).values())
        if round_.views:
            raise DiscoveryError("the nodes that answer do not know the others any more; those stay")
        raise DiscoveryError(f"no node of the cluster answers: {round_.error}")

    def _ways(self) -> Iterable[Iterable[Endpoint]]:
        """Yield whom to ask; the next ones only when nothing came of those before."""
        if self._view is not None:
            known = [at for at in self._places.values() if self._may_ask(at)]
            due = sorted(known, key=lambda at: (at not in self._dissenters, self._turn.get(at, 0)))
            due = due[: max(VIEWS, len(self._dissenters))]
            self._turn |= dict.fromkeys(due, self._refreshes)
            yield due
            yield known
        yield self._seeds
        yield [target.endpoint for target in self._context.known() if self._may_ask(target.endpoint)]

    async def _agreed(self, round_: QueryRound, before: dict[str, int]) -> NodeView | None:
        """Ask further nodes as long as need be, and return what most of them see."""
        await self._learn_preference(round_)
        if self._view is None:
            await round_.ask(self._unheard(round_.views), most=VIEWS)
        if not has_majority(round_.views, before):
            await round_.ask(self._unheard(round_.views))
        return majority_view(round_.views, self._view, before, self._seeds)

    def _may_ask(self, at: Endpoint) -> bool:
        return at in self._seeds or self._context.allowed(at)

    def _unheard(self, views: Sequence[NodeView]) -> list[Endpoint]:
        """Return where the nodes are that some view lists and that gave none themselves."""
        heard = by_node_id(views).keys()
        found = dict.fromkeys(at for view in views for id_, at in self._place(view).items() if id_ not in heard)
        return list(found)

    async def _learn_preference(self, round_: QueryRound) -> None:
        """Ask one node which of their addresses the nodes prefer: once, and now and then."""
        if self._options.prefer != "announced":
            self._preferred = self._options.prefer
            return
        if self._refreshes - self._preference_asked < PREFERENCE_LASTS:
            return
        trouble: TargetError | None = None
        for view in round_.views:
            try:
                found = preferred(await self._nodes.shards(view.asked_at, round_.end))
            except TargetError as error:
                trouble = error
                if error.unavailable or isinstance(error, _NO_ANSWER):
                    continue
                found = "ip"  # it is not there (Redis 6), or denied: the address that all nodes have
                self._log.info("preferred addresses not known", error=str(error), taken="ip")
            if found is not None:  # a node that never met another one cannot say
                self._preference_asked = self._refreshes
            self._preferred = found or "ip"
            return
        if self._preferred is None:
            raise DiscoveryError(f"which address the nodes prefer is not known: {trouble}")

    # -- what came of it

    def _place(self, view: NodeView, *, complain: bool = False) -> dict[str, Endpoint]:
        """Return where the nodes of a view are, but for those that may not be there."""
        found: dict[str, Endpoint] = {}
        for node in members(view.nodes):
            try:
                at = node_endpoint(node, view.asked_at, self._preferred or "ip")
            except ValueError as error:
                if complain:
                    self._context.reject("unreadable", f"node {node.id[:40]} {error}")
                continue
            if at is None:
                continue
            if self._may_ask(at):
                found[node.id] = at
            elif complain:
                self._context.reject("not_allowed", f"{at.address} is not in discovery.allow")
        return found

    def _connected(self, places: dict[str, Endpoint]) -> list[Endpoint]:
        """Return to whom the connections stay open: to all when all are asked each time, else to nobody."""
        return list(places.values()) if len(places) <= VIEWS else []

    def _targets(self, view: NodeView, state: dict[str, State], places: dict[str, Endpoint]) -> list[TargetSettings]:
        watched = {id_: at for id_, at in places.items() if self._options.replicas or view.nodes[id_].role == "master"}
        name = self.settings.name
        return [
            self.settings.template.at(at, f"{name}/{at.address}", {"cluster": name}).grouped()
            for at in healthiest(watched, state)
        ]
