"""Count the nodes, slots, replicas and changes of a whole cluster, and publish them as metrics and log events.

The counting functions are pure. ``ClusterMetrics`` publishes their results.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from redis_pulse import log
from redis_pulse.config import Endpoint
from redis_pulse.discovery.cluster.topology import STATES, NodeView, dissenting_views, members
from redis_pulse.parse.cluster_nodes import SLOTS, ClusterNode, State
from redis_pulse.telemetry import DiscoveryMetrics

ROLES = ("master", "replica")
CHANGES = ("node_added", "node_removed", "role", "address", "slots")
#: Limit for the addresses in one log event.
MAX_LOGGED_NODES = 10


class ClusterCounts(NamedTuple):
    """Counts of one topology."""

    #: by role and state, with an entry for each combination
    nodes: dict[tuple[str, State], int]
    #: ``covered``, ``failing`` and ``unassigned``; together 16384
    slots: dict[str, int]
    #: healthy replicas, by the first slot of their shard
    replicas: dict[str, int]


def count_nodes(view: NodeView, state: Mapping[str, State]) -> ClusterCounts:
    """Return the counts of nodes, slots and replicas; ``state`` has the state of each node by id."""
    nodes: dict[tuple[str, State], int] = {(role, each): 0 for role in ROLES for each in STATES}
    slots = dict.fromkeys(("covered", "failing", "unassigned"), 0)
    shards: dict[str, str] = {}
    for node in view.nodes.values():
        nodes[node.role, state[node.id]] += 1
        owned = sum(last - first + 1 for first, last in node.slots)
        slots["covered" if state[node.id] == "ok" else "failing"] += owned
        if owned:
            shards[node.id] = str(node.slots[0][0])
    slots["unassigned"] = SLOTS - slots["covered"] - slots["failing"]
    replicas = dict.fromkeys(shards.values(), 0)
    for node in view.nodes.values():
        if node.master in shards and state[node.id] == "ok":
            replicas[shards[node.master]] += 1
    return ClusterCounts(nodes, slots, replicas)


def changes(old: NodeView, new: NodeView) -> dict[str, int]:
    """Return how much changed from one view to the next, by ``CHANGES``.

    ``slots`` counts the slots that moved to another shard. When a replica takes over from its master, no slot moved.
    """
    before, after = ({node.id: node for node in members(view.nodes)} for view in (old, new))
    common = before.keys() & after.keys()
    return {
        "node_added": len(after.keys() - before.keys()),
        "node_removed": len(before.keys() - after.keys()),
        "role": sum(before[node_id].role != after[node_id].role for node_id in common),
        "address": sum(_address_changed(before[node_id], after[node_id]) for node_id in common),
        "slots": 0 if old.fingerprint == new.fingerprint else _count_moved_slots(before, after),
    }


def _address_changed(old: ClusterNode, new: ClusterNode) -> bool:
    """Return whether a node has another address; a node with an unknown address did not move."""
    return bool(old.ip and new.ip) and (old.ip, old.port, old.hostname) != (new.ip, new.port, new.hostname)


def _count_moved_slots(before: Mapping[str, ClusterNode], after: Mapping[str, ClusterNode]) -> int:
    pairs = Counter(zip(_slot_owners(before), _slot_owners(after), strict=True))
    return sum(count for (old, new), count in pairs.items() if old != new and not _took_over(before, after, old, new))


def _took_over(before: Mapping[str, ClusterNode], after: Mapping[str, ClusterNode], old: str, new: str) -> bool:
    """Return whether two owners of a slot belong to one shard: one of them replicates the other, before or after."""
    new_before, old_after = before.get(new), after.get(old)
    return bool(old and new) and (
        (new_before is not None and new_before.master == old) or (old_after is not None and old_after.master == new)
    )


def _slot_owners(nodes: Mapping[str, ClusterNode]) -> list[str]:
    """Return the id of the owner of each slot; an empty string for a slot without an owner."""
    owners = [""] * SLOTS
    for node in nodes.values():
        for first, last in node.slots:
            owners[first : last + 1] = [node.id] * (last + 1 - first)
    return owners


class ClusterMetrics:
    """Publishes the topology of the cluster ``name``; without ``metrics`` it only logs changes."""

    def __init__(self, name: str, metrics: DiscoveryMetrics | None) -> None:
        self._name = name
        self._metrics = metrics
        self._log = log.get("discovery").bind(cluster=name)
        self._log_filter = log.StateChangeFilter()
        if metrics is not None:
            for change in CHANGES:
                metrics.cluster_changes.labels(name, change)

    def update(
        self,
        old: NodeView | None,
        view: NodeView,
        views: Sequence[NodeView],
        state: Mapping[str, State],
        endpoints: Mapping[str, Endpoint],
    ) -> list[Endpoint]:
        """Publish the current topology; return the endpoints of the nodes that see another one."""
        changed = {} if old is None else {change: count for change, count in changes(old, view).items() if count}
        if changed:
            self._log.info("topology changed", **changed)
        dissenting = [other.asked_at for other in dissenting_views(view, views, set(endpoints.values()))]
        self._log_dissent(sorted(endpoint.address for endpoint in dissenting), is_first=old is None)
        if self._metrics is not None:
            self._publish_counts(self._metrics, count_nodes(view, state))
            self._metrics.cluster_disagreeing.labels(self._name).set(len(dissenting))
            for change, count in changed.items():
                self._metrics.cluster_changes.labels(self._name, change).inc(count)
        return dissenting

    def clear(self) -> None:
        """Remove all gauges, because their values are no longer known; the counters stay."""
        if (metrics := self._metrics) is not None:
            for family in (metrics.cluster_nodes, metrics.cluster_slots, metrics.cluster_shard_replicas):
                family.retain((self._name,))
            metrics.cluster_disagreeing.retain((self._name,))

    def _log_dissent(self, addresses: Sequence[str], *, is_first: bool) -> None:
        """Log when the dissenting nodes change; the first topology without dissent is no event."""
        if not self._log_filter.changed("dissent", tuple(addresses)):
            return
        if addresses:
            nodes = ", ".join(addresses[:MAX_LOGGED_NODES])
            self._log.warning("nodes see another topology than most", nodes=nodes, count=len(addresses))
        elif not is_first:
            self._log.info("nodes agree about the topology again")

    def _publish_counts(self, metrics: DiscoveryMetrics, counts: ClusterCounts) -> None:
        for (role, state), count in counts.nodes.items():
            metrics.cluster_nodes.labels(self._name, role, state).set(count)
        for kind, count in counts.slots.items():
            metrics.cluster_slots.labels(self._name, kind).set(count)
        for shard, count in counts.replicas.items():
            metrics.cluster_shard_replicas.labels(self._name, shard).set(count)
        metrics.cluster_shard_replicas.retain((self._name,), {(self._name, shard) for shard in counts.replicas})
