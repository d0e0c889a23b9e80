"""What the nodes of a cluster see, put together: decided from their views alone, without asking anybody.

Two nodes agree when they see the same members with the same roles, and the same owner of every slot. How well each of
them thinks the others to be is no matter of agreement: of that the opinion of most counts.

Where the nodes of a cluster are: which of the addresses that they announce counts.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

from redis_pulse.config import Endpoint
from redis_pulse.parse.cluster_nodes import ClusterNode, Preferred, State

STATES: tuple[State, ...] = ("ok", "pfail", "fail", "handshake", "noaddr")


class NodeView(NamedTuple):
    """What one node sees; ``claim`` is equal for nodes that agree."""

    #: the node's id
    node_id: str
    #: where it was asked
    asked_at: Endpoint
    nodes: Mapping[str, ClusterNode]
    fingerprint: int

    @classmethod
    def from_nodes(cls, nodes: Mapping[str, ClusterNode], reached: Endpoint) -> "NodeView | None":
        """Make one of what a node answered; None when it does not say who it is."""
        voter = next((node.id for node in nodes.values() if node.myself), None)
        if voter is None:
            return None
        claim = hash(frozenset((node.id, node.role, node.master, node.slots) for node in members(nodes)))
        return cls(voter, reached, nodes, claim)

    @property
    def epoch(self) -> int:
        """The newest decision of the cluster that it has heard of."""
        return max(node.epoch for node in self.nodes.values())

    @property
    def assigned(self) -> int:
        """How many slots have an owner."""
        return sum(last - first + 1 for node in self.nodes.values() for first, last in node.slots)


def members(nodes: Mapping[str, ClusterNode]) -> list[ClusterNode]:
    """Return the nodes that belong to the cluster: one in handshake has a made-up id, and may never come to belong."""
    return [node for node in nodes.values() if node.state != "handshake"]


def by_node_id(views: Iterable[NodeView]) -> dict[str, NodeView]:
    """Return one view of each node: it may have been asked at two of its addresses."""
    return {view.node_id: view for view in views}


def has_majority(views: Sequence[NodeView], before: Mapping[str, int]) -> bool:
    """Whether it is clear what most nodes see, though not all were asked now.

    ``before`` is what each node claimed when it was asked last. Of claims that nobody makes any more no vote counts: a
    change is known to all nodes soon, and those who were asked now all know of it.
    """
    if len({view.fingerprint for view in views}) == 1:
        return True
    votes = {**before, **{voter: view.fingerprint for voter, view in by_node_id(views).items()}}
    claim, count = Counter(votes.values()).most_common(1)[0]
    return any(view.fingerprint == claim and count > len(members(view.nodes)) / 2 for view in views)


def majority_view(
    views: Sequence[NodeView], known: NodeView | None, before: Mapping[str, int], seeds: Container[Endpoint]
) -> NodeView | None:
    """Return a view that most nodes share; of equally many the one with the newer epoch, then with more slots.

    None when there is none to be believed: see ``is_credible``. ``before`` is as for ``is_certain``, ``seeds`` are the
    servers that the configuration names.
    """
    heard = by_node_id(views)
    votes = Counter(view.fingerprint for view in heard.values())
    later = Counter(claim for voter, claim in before.items() if voter not in heard and claim in votes)
    by_claim = {view.fingerprint: view for view in reversed(heard.values())}
    ranked = sorted(
        by_claim.values(),
        key=lambda view: (votes[view.fingerprint] + later[view.fingerprint], view.epoch, view.assigned),
        reverse=True,
    )
    for view in ranked:
        voters = [one for one in heard.values() if one.fingerprint == view.fingerprint]
        if known is None or may_replace(view, voters, known, seeds):
            return view
    return None


def may_replace(view: NodeView, voters: Sequence[NodeView], known: NodeView, seeds: Container[Endpoint]) -> bool:
    """Whether nodes may be given up because these nodes do not see them any more.

    A node that was reset sees itself alone, and the address of one that is gone may belong to another cluster by now.
    So either most of the nodes say so; or the view has as many slots assigned as there were, and it is of the same
    cluster, or a server that the configuration names shares it.
    """
    old = {node.id for node in members(known.nodes)}
    new = {node.id for node in members(view.nodes)}
    if old <= new or len({one.node_id for one in voters} & old) > len(old) / 2:
        return True
    if view.assigned < known.assigned:
        return False
    return bool(old & new) or any(one.asked_at in seeds for one in voters)


def states(view: NodeView, views: Iterable[NodeView]) -> dict[str, State]:
    """Return how most of those who share a view think that each node is; when it is a draw, the worse."""
    agreeing = [one for one in views if one.fingerprint == view.fingerprint]
    # Nearly all are well, and nearly all think so: only what is said against it is counted.
    doubts: dict[str, Counter[State]] = {}
    for one in agreeing:
        for node in one.nodes.values():
            if node.state != "ok":
                doubts.setdefault(node.id, Counter())[node.state] += 1
    found: dict[str, State] = dict.fromkeys(view.nodes, "ok")
    for identity in doubts.keys() & view.nodes.keys():
        doubt = doubts[identity]
        doubt["ok"] = sum(identity in one.nodes for one in agreeing) - doubt.total()
        found[identity] = max(doubt, key=lambda state, doubt=doubt: (doubt[state], STATES.index(state)))  # type: ignore[misc]
    return found


def dissenting_views(view: NodeView, views: Iterable[NodeView], places: Container[Endpoint]) -> list[NodeView]:
    """Return the views of nodes of the cluster that are not this one; ``places`` are where its nodes are."""
    return [
        one
        for one in by_node_id(views).values()
        if one.fingerprint != view.fingerprint and (one.node_id in view.nodes or one.asked_at in places)
    ]


_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?")


def node_endpoint(node: ClusterNode, reached: Endpoint, preferred: Preferred) -> Endpoint | None:
    """Return where to reach a node that was announced by the one at ``reached``; None when nobody knows.

    Of IP and host name the other one counts where the preferred one is missing. A node that does not know its own
    address yet is where it was asked. Raises ValueError for what is no host name.
    """
    if node.state in ("handshake", "noaddr"):
        return None
    if preferred == "unknown":
        host = reached.host
    elif preferred == "hostname":
        host = node.hostname or node.ip
    else:
        host = node.ip or node.hostname
    if not host:
        return reached if node.myself else None
    if not node.port:
        return None
    return Endpoint("redis", _checked(host), node.port, tls=reached.tls)


def _checked(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        if not _NAME.fullmatch(host):
            raise ValueError("announces a name that is none") from None
        return host.lower()


def healthiest(places: Mapping[str, Endpoint], state: Mapping[str, State]) -> dict[Endpoint, str]:
    """Return the node at each place: one that failed may have been replaced by another at the same address."""
    order = sorted(places, key=lambda identity: (places[identity].host, places[identity].port, state[identity] != "ok"))
    found: dict[Endpoint, str] = {}
    for identity in order:
        found.setdefault(places[identity], identity)
    return found
