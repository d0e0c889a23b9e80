"""What is true of a whole cluster, counted: nodes, slots, replicas, and what changed from one view to the next.

What is true of a whole cluster, to its instruments and to the log.
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


class ClusterCounts(NamedTuple):
    """What is true of the whole cluster."""

    #: by role and state; all that there are
    nodes: dict[tuple[str, State], int]
    #: ``covered``, ``failing`` and ``unassigned``, together 16384
    slots: dict[str, int]
    #: replicas that are well, by the first slot of their shard
    replicas: dict[str, int]


def count_nodes(view: NodeView, state: Mapping[str, State]) -> ClusterCounts:
    """Count nodes, slots and replicas; ``state`` is of each node."""
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
    """Count what changed from one view to the next, by ``CHANGES``.

    ``slots`` counts those that moved to another shard: where a replica took over from its master, none did.
    """
    before, after = ({node.id: node for node in members(view.nodes)} for view in (old, new))
    common = before.keys() & after.keys()
    return {
        "node_added": len(after.keys() - before.keys()),
        "node_removed": len(before.keys() - after.keys()),
        "role": sum(before[each].role != after[each].role for each in common),
        "address": sum(_moved(before[each], after[each]) for each in common),
        "slots": 0 if old.fingerprint == new.fingerprint else _slots_moved(before, after),
    }


def _moved(old: ClusterNode, new: ClusterNode) -> bool:
    """Whether a node is elsewhere; one whose address was not known did not move."""
    return bool(old.ip and new.ip) and (old.ip, old.port, old.hostname) != (new.ip, new.port, new.hostname)


def _slots_moved(before: Mapping[str, ClusterNode], after: Mapping[str, ClusterNode]) -> int:
    pairs = Counter(zip(_owners(before), _owners(after), strict=True))
    return sum(count for (old, new), count in pairs.items() if old != new and not _took_over(before, after, old, new))


def _took_over(before: Mapping[str, ClusterNode], after: Mapping[str, ClusterNode], old: str, new: str) -> bool:
    was, now = before.get(new), after.get(old)
    return bool(old and new) and ((was is not None and was.master == old) or (now is not None and now.master == new))


def _owners(nodes: Mapping[str, ClusterNode]) -> list[str]:
    owners = [""] * SLOTS
    for node in nodes.values():
        for first, last in node.slots:
            owners[first : last + 1] = [node.id] * (last + 1 - first)
    return owners


class ClusterMetrics:
    """Publishes the topology of the cluster ``name``; without instruments it only logs what changed."""

    def __init__(self, name: str, instruments: DiscoveryMetrics | None) -> None:
        self._name = name
        self._metrics = instruments
        self._log = log.get("discovery").bind(cluster=name)
        self._noted = log.StateChangeFilter()
        if instruments is not None:
            for change in CHANGES:
                instruments.cluster_changes.labels(name, change)

    def update(
        self,
        old: NodeView | None,
        view: NodeView,
        views: Sequence[NodeView],
        state: Mapping[str, State],
        places: Mapping[str, Endpoint],
    ) -> list[Endpoint]:
        """Book what there is now; return where those are that do not agree."""
        changed = {} if old is None else {change: count for change, count in changes(old, view).items() if count}
        dissent = dissenting_views(view, views, set(places.values()))
        where = sorted(one.asked_at.address for one in dissent)
        if changed:
            self._log.info("topology changed", **changed)
        if self._noted.changed("dissent", tuple(where)) and (where or old is not None):
            if where:
                self._log.warning("nodes see another topology than most", nodes=", ".join(where[:10]), count=len(where))
            else:
                self._log.info("nodes agree about the topology again")
        if self._metrics is not None:
            self._publish(self._metrics, changed, len(dissent), view, state)
        return [one.asked_at for one in dissent]

    def clear(self) -> None:
        """Show nothing as true that is not known any more; what was counted stays."""
        if (rows := self._metrics) is not None:
            for family in (rows.cluster_nodes, rows.cluster_slots, rows.cluster_shard_replicas):
                family.retain((self._name,))
            rows.cluster_disagreeing.retain((self._name,))

    def _publish(
        self,
        rows: DiscoveryMetrics,
        changed: Mapping[str, int],
        dissent: int,
        view: NodeView,
        state: Mapping[str, State],
    ) -> None:
        counts = count_nodes(view, state)
        for change, count in changed.items():
            rows.cluster_changes.labels(self._name, change).inc(count)
        for (role, each), count in counts.nodes.items():
            rows.cluster_nodes.labels(self._name, role, each).set(count)
        for kind, count in counts.slots.items():
            rows.cluster_slots.labels(self._name, kind).set(count)
        for shard, count in counts.replicas.items():
            rows.cluster_shard_replicas.labels(self._name, shard).set(count)
        rows.cluster_shard_replicas.retain((self._name,), {(self._name, shard) for shard in counts.replicas})
        rows.cluster_disagreeing.labels(self._name).set(dissent)
