"""Combine the views of the nodes of a cluster into one topology. Pure: only the views decide.

Two nodes agree if they see the same members with the same roles, and the same owner of every slot. Their views then
have equal fingerprints. The state of a node is not part of the fingerprint. Most of the nodes that agree decide it.

``node_endpoint`` and ``healthiest`` say where the nodes are: which of its announced addresses a node is reached at.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

from redis_pulse.config import Endpoint
from redis_pulse.parse.cluster_nodes import ClusterNode, EndpointType, State

#: From the best to the worst.
STATES: tuple[State, ...] = ("ok", "pfail", "fail", "handshake", "noaddr")
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?")


class NodeView(NamedTuple):
    """The topology as one node sees it; nodes that agree have equal fingerprints."""

    #: the id of this node
    node_id: str
    #: where this node was queried
    asked_at: Endpoint
    nodes: Mapping[str, ClusterNode]
    fingerprint: int

    @classmethod
    def from_nodes(cls, nodes: Mapping[str, ClusterNode], asked_at: Endpoint) -> "NodeView | None":
        """Return the view in a reply, or None if the reply does not mark the node that sent it."""
        node_id = next((node.id for node in nodes.values() if node.myself), None)
        if node_id is None:
            return None
        fingerprint = hash(frozenset((node.id, node.role, node.master, node.slots) for node in members(nodes)))
        return cls(node_id, asked_at, nodes, fingerprint)

    @property
    def epoch(self) -> int:
        """The epoch of the newest decision of the cluster that the node has received."""
        return max(node.epoch for node in self.nodes.values())

    @property
    def assigned(self) -> int:
        """The number of slots that have an owner."""
        return sum(last - first + 1 for node in self.nodes.values() for first, last in node.slots)


def members(nodes: Mapping[str, ClusterNode]) -> list[ClusterNode]:
    """Return the nodes that belong to the cluster.

    A node in handshake has a temporary id, and may never become a member.
    """
    return [node for node in nodes.values() if node.state != "handshake"]


def by_node_id(views: Iterable[NodeView]) -> dict[str, NodeView]:
    """Return one view per node: a node may have been queried at two of its addresses."""
    return {view.node_id: view for view in views}


# -- which view counts


def has_majority(views: Sequence[NodeView], before: Mapping[str, int]) -> bool:
    """Return whether it is certain what most nodes see, although this round did not query all of them.

    ``before`` is the last fingerprint of each node. A node outside this round votes with it. A fingerprint that no node
    of this round has cannot win. Reason: all nodes learn of a change soon, so the nodes of this round all know of it.
    """
    if len({view.fingerprint for view in views}) == 1:
        return True
    votes = {**before, **{node_id: view.fingerprint for node_id, view in by_node_id(views).items()}}
    winner, count = Counter(votes.values()).most_common(1)[0]
    return any(view.fingerprint == winner and count > len(members(view.nodes)) / 2 for view in views)


def majority_view(
    views: Sequence[NodeView], known: NodeView | None, before: Mapping[str, int], seeds: Container[Endpoint]
) -> NodeView | None:
    """Return the view with the most votes, or None if no view may replace the known one.

    On a tie, the view with the newer epoch wins, then the view with more assigned slots. ``before`` is the same as for
    ``has_majority``. ``seeds`` are the servers in the configuration. See ``may_replace``.
    """
    current = by_node_id(views)
    votes = Counter(view.fingerprint for view in current.values())
    # Nodes outside this round vote as before, but only for a view that a node of this round still has.
    votes.update(
        fingerprint for node_id, fingerprint in before.items() if node_id not in current and fingerprint in votes
    )
    by_fingerprint = {view.fingerprint: view for view in reversed(current.values())}
    ranked = sorted(
        by_fingerprint.values(), key=lambda view: (votes[view.fingerprint], view.epoch, view.assigned), reverse=True
    )
    for view in ranked:
        voters = [voter for voter in current.values() if voter.fingerprint == view.fingerprint]
        if known is None or may_replace(view, voters, known, seeds):
            return view
    return None


def may_replace(view: NodeView, voters: Sequence[NodeView], known: NodeView, seeds: Container[Endpoint]) -> bool:
    """Return whether ``view`` may replace the known one, although it lacks nodes.

    A node that was reset sees itself alone. The address of a lost node may belong to another cluster by now. Therefore
    a view may lack known nodes only in one of two cases:

    1. Most of the known nodes have this view.
    2. The view has at least as many assigned slots as the known one. In addition, it shares a member with the known
       one, or a server in the configuration has this view.
    """
    old = {node.id for node in members(known.nodes)}
    new = {node.id for node in members(view.nodes)}
    if old <= new or len({voter.node_id for voter in voters} & old) > len(old) / 2:
        return True
    if view.assigned < known.assigned:
        return False
    return bool(old & new) or any(voter.asked_at in seeds for voter in voters)


def states(view: NodeView, views: Iterable[NodeView]) -> dict[str, State]:
    """Return by id the state in which most agreeing nodes see each node; on a tie, the worse one."""
    agreeing = [other for other in views if other.fingerprint == view.fingerprint]
    # Nearly all nodes are healthy, and nearly all nodes see them so. Therefore only the other opinions are collected.
    doubts: dict[str, Counter[State]] = {}
    for other in agreeing:
        for node in other.nodes.values():
            if node.state != "ok":
                doubts.setdefault(node.id, Counter())[node.state] += 1
    result: dict[str, State] = dict.fromkeys(view.nodes, "ok")
    for node_id in doubts.keys() & view.nodes.keys():
        opinions = doubts[node_id]
        opinions["ok"] = sum(node_id in other.nodes for other in agreeing) - opinions.total()
        result[node_id] = max(opinions, key=lambda state, votes=opinions: (votes[state], STATES.index(state)))  # type: ignore[misc]
    return result


def dissenting_views(view: NodeView, views: Iterable[NodeView], endpoints: Container[Endpoint]) -> list[NodeView]:
    """Return the views of cluster nodes that differ from ``view``; ``endpoints`` are those of the cluster nodes."""
    return [
        other
        for other in by_node_id(views).values()
        if other.fingerprint != view.fingerprint and (other.node_id in view.nodes or other.asked_at in endpoints)
    ]


# -- where the nodes are


def node_endpoint(node: ClusterNode, asked_at: Endpoint, preferred: EndpointType) -> Endpoint | None:
    """Return where to reach a node that the node at ``asked_at`` announced, or None if that is unknown.

    If the preferred one of IP and host name is missing, the other one counts. A node that does not know its own address
    yet is reached at ``asked_at``. Raises ValueError if the host name is invalid.
    """
    if node.state in ("handshake", "noaddr"):
        return None
    if preferred == "unknown":
        host = asked_at.host
    elif preferred == "hostname":
        host = node.hostname or node.ip
    else:
        host = node.ip or node.hostname
    if not host:
        return asked_at if node.myself else None
    if not node.port:
        return None
    return Endpoint("redis", _normalized_host(host), node.port, tls=asked_at.tls)


def _normalized_host(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        if not _HOST_NAME.fullmatch(host):
            raise ValueError("announces an invalid host name") from None
        return host.lower()


def healthiest(endpoints: Mapping[str, Endpoint], state: Mapping[str, State]) -> dict[Endpoint, str]:
    """Return the id of the node at each endpoint: a failed node may have been replaced at the same address."""
    order = sorted(
        endpoints, key=lambda node_id: (endpoints[node_id].host, endpoints[node_id].port, state[node_id] != "ok")
    )
    result: dict[Endpoint, str] = {}
    for node_id in order:
        result.setdefault(endpoints[node_id], node_id)
    return result
