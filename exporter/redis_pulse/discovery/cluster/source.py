"""The nodes of a Redis Cluster as targets.

    targets: [{name: cart, url: "redis://10.0.0.7:6379", cluster: true}]   →   cart/10.0.0.7:6379, cart/10.0.0.8:6379, …

Each refresh sends CLUSTER NODES to at most ``NODES_PER_REFRESH`` nodes. A larger cluster takes turns. The refresh
queries the other nodes too, but only while it is uncertain what most nodes see.

The source follows no redirect. It queries the servers in the configuration, and the nodes that a queried node lists, if
``discovery.allow`` contains them. A listed node is a target if most nodes list it.
"""

from collections.abc import Iterable, Sequence

from redis_pulse import log
from redis_pulse.config import ClusterSettings, Endpoint, SourceSettings, TargetSettings
from redis_pulse.discovery.announced import NOT_NEAR
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
from redis_pulse.parse.cluster_nodes import EndpointType, State, preferred_endpoint
from redis_pulse.slices import sliced

#: The permissions of the user on the nodes; the second one only if ``prefer`` is ``announced``.
COMMANDS = ("cluster|nodes", "cluster|shards")
#: Limit for the queries of one refresh, in seconds.
QUERY_TIMEOUT = 20.0
#: Nodes to query at each refresh.
NODES_PER_REFRESH = 16
#: Refreshes between two queries for the preferred endpoint type.
PREFERENCE_REFRESHES = 60
#: Failed refreshes in a row after which the gauges of the cluster are removed.
FAILURES_BEFORE_CLEAR = 3
#: Errors that do not show whether a server has a command.
_INCONCLUSIVE = (AuthError, RejectedError, SkippedError)


class ClusterSource:
    """The targets of one cluster."""

    def __init__(self, settings: SourceSettings, options: ClusterSettings, context: SourceContext) -> None:
        self.settings = settings
        self._options = options
        self._context = context
        self._seeds = [seed.endpoint for seed in settings.seeds]
        self._nodes = NodeClients(
            settings.seeds[0],
            clock=context.clock,
            connect_limiter=context.connect_limiter,
            tokens=context.tokens,
        )
        self._metrics = ClusterMetrics(settings.name, context.metrics if context.is_owner else None)
        self._log = log.get("discovery").bind(cluster=settings.name)
        self._changes = log.StateChangeFilter()
        self._view: NodeView | None = None
        #: by node id
        self._endpoints: dict[str, Endpoint] = {}
        #: the last fingerprint of each node, by node id
        self._fingerprints: dict[str, int] = {}
        #: the number of the refresh that queried an endpoint last
        self._last_queried: dict[Endpoint, int] = {}
        self._dissenters: list[Endpoint] = []
        self._refreshes = 0
        self._failures = 0
        self._preferred: EndpointType | None = None
        self._preference_queried = -PREFERENCE_REFRESHES

    async def refresh(self) -> Sequence[TargetSettings]:
        """Query the topology, and return its nodes. Raises DiscoveryError if no view can be trusted."""
        self._refreshes += 1
        if self._view is None:
            await self._context.learn_announced(target.endpoint.host for target in self._context.known_targets())
        try:
            view, views = await self._query_views()
        except DiscoveryError:
            self._failures += 1
            if self._failures >= FAILURES_BEFORE_CLEAR:
                self._metrics.clear()
            raise
        if self._nodes.closed:
            raise DiscoveryError("the source is closed")
        self._failures = 0
        state = states(view, views)
        endpoints = self._endpoints_in(view, reject=True)
        self._dissenters = self._metrics.update(self._view, view, views, state, endpoints)
        self._remember(view, views, endpoints)
        await self._nodes.retain([*endpoints.values()], self._lasting_connections(endpoints))
        return self._targets(view, state, endpoints)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._nodes.aclose()

    def _remember(self, view: NodeView, views: Sequence[NodeView], endpoints: dict[str, Endpoint]) -> None:
        self._view, self._endpoints = view, endpoints
        fingerprints = {**self._fingerprints, **{voter.node_id: voter.fingerprint for voter in views}}
        self._fingerprints = {node_id: one for node_id, one in fingerprints.items() if node_id in view.nodes}
        self._last_queried |= {voter.asked_at: self._refreshes for voter in views}
        self._last_queried = {endpoint: self._last_queried.get(endpoint, 0) for endpoint in endpoints.values()}

    # -- which nodes to query

    async def _query_views(self) -> tuple[NodeView, list[NodeView]]:
        """Return the view that counts, and one view per node that replied. Raises DiscoveryError."""
        query_round = QueryRound(self._nodes, self._context.clock() + QUERY_TIMEOUT)
        before = self._fingerprints if self._view is not None else {}
        for endpoints in self._candidates():
            if await query_round.query(endpoints):
                view = await self._trusted_view(query_round, before)
                if view is not None:
                    return view, list(by_node_id(query_round.views).values())
        if query_round.views:
            raise DiscoveryError("the nodes that reply have lost the other nodes; the known nodes stay")
        raise DiscoveryError(f"no node of the cluster replies: {query_round.error}")

    def _candidates(self) -> Iterable[Iterable[Endpoint]]:
        """Yield groups of nodes to query; the next group is needed only if the groups before had no trusted view."""
        if self._view is not None:
            known = [endpoint for endpoint in self._endpoints.values() if self._may_query(endpoint)]
            due = sorted(known, key=lambda one: (one not in self._dissenters, self._last_queried.get(one, 0)))
            due = due[: max(NODES_PER_REFRESH, len(self._dissenters))]
            self._last_queried |= dict.fromkeys(due, self._refreshes)
            yield due
            yield known
        yield self._seeds
        yield [target.endpoint for target in self._context.known_targets() if self._may_query(target.endpoint)]

    async def _trusted_view(self, query_round: QueryRound, before: dict[str, int]) -> NodeView | None:
        """Return the view of most nodes, or None if no view can be trusted; query more nodes if necessary."""
        await self._learn_preference(query_round)
        await self._learn_hosts(query_round.views)
        if self._view is None:
            await query_round.query(self._listed_without_view(query_round.views), limit=NODES_PER_REFRESH)
            await self._learn_hosts(query_round.views)
        if not has_majority(query_round.views, before):
            await query_round.query(self._listed_without_view(query_round.views))
            await self._learn_hosts(query_round.views)
        return majority_view(query_round.views, self._view, before, self._seeds)

    async def _learn_hosts(self, views: Sequence[NodeView]) -> None:
        """Look up the hosts that the nodes announce, so that ``_may_query`` can decide about them."""
        hosts: set[str] = set()
        async for view in sliced(views, 1):
            hosts.update(
                (node.hostname or node.ip) if self._preferred == "hostname" else (node.ip or node.hostname)
                for node in members(view.nodes)
            )
        await self._context.learn_announced(hosts - {""})

    def _may_query(self, endpoint: Endpoint) -> bool:
        return endpoint in self._seeds or self._context.is_allowed(endpoint)

    def _listed_without_view(self, views: Sequence[NodeView]) -> list[Endpoint]:
        """Return the endpoints of the nodes that a view lists, but that have sent no view themselves."""
        replied = by_node_id(views).keys()
        listed = (item for view in views for item in self._endpoints_in(view).items())
        return list(dict.fromkeys(endpoint for node_id, endpoint in listed if node_id not in replied))

    async def _learn_preference(self, query_round: QueryRound) -> None:
        """Learn which of their addresses the nodes prefer: one node is queried, once and then at long intervals."""
        if self._options.prefer != "announced":
            self._preferred = self._options.prefer
            return
        if self._refreshes - self._preference_queried < PREFERENCE_REFRESHES:
            return
        last_error: TargetError | None = None
        for view in query_round.views:
            try:
                preferred = preferred_endpoint(await self._nodes.shards(view.asked_at, query_round.deadline))
            except TargetError as error:
                last_error = error
                if error.unavailable or isinstance(error, _INCONCLUSIVE):
                    continue
                # The command does not exist (Redis 6), or the user may not run it. Every node has an IP address.
                preferred = "ip"
                if self._changes.changed("preference", error.reason):
                    self._log.info("preferred addresses not known", error=str(error), taken="ip")
            if preferred is not None:  # a node that never met another node does not know the preference
                self._preference_queried = self._refreshes
            self._preferred = preferred or "ip"
            return
        if self._preferred is None:
            raise DiscoveryError(f"it is unknown which address the nodes prefer: {last_error}")

    # -- the result

    def _endpoints_in(self, view: NodeView, *, reject: bool = False) -> dict[str, Endpoint]:
        """Return the endpoint of each node in a view, except for invalid ones and those that are not allowed.

        ``reject`` makes these exceptions visible: the context records them.
        """
        endpoints: dict[str, Endpoint] = {}
        for node in members(view.nodes):
            try:
                endpoint = node_endpoint(node, view.asked_at, self._preferred or "ip")
            except ValueError as error:
                if reject:
                    self._context.reject("unreadable", f"node {node.id[:40]} {error}")
                continue
            if endpoint is None:
                continue
            if self._may_query(endpoint):
                endpoints[node.id] = endpoint
            elif reject:
                self._context.reject("not_allowed", f"{endpoint.address} {NOT_NEAR}")
        return endpoints

    def _lasting_connections(self, endpoints: dict[str, Endpoint]) -> list[Endpoint]:
        """Return the nodes to which connections stay open: all, if each refresh queries all, and else none."""
        return list(endpoints.values()) if len(endpoints) <= NODES_PER_REFRESH else []

    def _targets(self, view: NodeView, state: dict[str, State], endpoints: dict[str, Endpoint]) -> list[TargetSettings]:
        watched = {
            node_id: endpoint
            for node_id, endpoint in endpoints.items()
            if self._options.replicas or view.nodes[node_id].role == "master"
        }
        name = self.settings.name
        return [
            self.settings.template.at(endpoint, f"{name}/{endpoint.address}", {"cluster": name}).grouped()
            for endpoint in healthiest(watched, state)
        ]
