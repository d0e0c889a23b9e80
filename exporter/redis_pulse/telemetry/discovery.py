"""Metrics of discovery, and of whole clusters and Sentinel sets, which belong to no single server."""

from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge

_Kind = TypeVar("_Kind", Counter, Gauge)


class OwnedFamily(Generic[_Kind]):
    """A family whose first label, or first two labels, name an owner. All series of an owner can be dropped."""

    def __init__(self, family: _Kind, labels: tuple[str, ...]) -> None:
        self._family: _Kind = family
        self._labels = labels
        self._label_values: set[tuple[str, ...]] = set()

    def labels(self, *values: str) -> _Kind:
        """Return the child with these label values. Create it if needed."""
        self._label_values.add(values)
        child: _Kind = self._family.labels(*values)
        return child

    def retain(self, owner: tuple[str, ...], kept: set[tuple[str, ...]] = frozenset()) -> None:  # type: ignore[assignment]
        """Drop the children of an owner, except those in ``kept``, which holds all label values of each."""
        for values in [one for one in self._label_values if one[: len(owner)] == owner and one not in kept]:
            self._label_values.discard(values)
            self._family.remove(*values)

    def ensure_sample(self) -> None:
        """Create one child, because a family without children has no labels to describe."""
        self.labels(*self._labels)


class DiscoveryMetrics:
    """Metrics of discovery. The label ``source`` holds the name of a source and never a secret."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._families: list[tuple[str, OwnedFamily[Counter] | OwnedFamily[Gauge]]] = []  # by their first label

        def gauge(name: str, text: str, *labels: str) -> OwnedFamily[Gauge]:
            family = OwnedFamily(Gauge(name, text, labels, registry=registry), labels)
            self._families.append((labels[0], family))
            return family

        def counter(name: str, text: str, *labels: str) -> OwnedFamily[Counter]:
            family = OwnedFamily(Counter(name, text, labels, registry=registry), labels)
            self._families.append((labels[0], family))
            return family

        source = ("kind", "source")
        self.targets = gauge("redis_exporter_discovery_targets", "Targets that a source currently names.", *source)
        self.refreshes = counter("redis_exporter_discovery_refreshes", "Queries of a source.", *source)
        self.failures = counter(
            "redis_exporter_discovery_failures", "Failed queries of a source; its targets stay.", *source
        )
        self.last_success = gauge(
            "redis_exporter_discovery_last_success_timestamp_seconds", "When a source last answered.", *source
        )
        self.changes = counter(
            "redis_exporter_discovery_changes", "Targets that a source added, removed or changed.", *source, "change"
        )
        self.refused = counter(
            "redis_exporter_discovery_refused",
            "Targets that a source names and that were refused: not allowed, unreadable, duplicate, too many.",
            *(*source, "reason"),
        )
        self.left_out = gauge(
            "redis_exporter_discovery_left_out_targets",
            "Targets that a source names and that are not watched, because of a limit such as discovery.max_targets.",
            *source,
        )
        self.shard = gauge("redis_exporter_shard_info", "1, with the shard of this exporter.", "shard", "shards")

        self.cluster_nodes = gauge(
            "redis_cluster_topology_nodes",
            "Nodes of a cluster, as most of its nodes report them.",
            "cluster",
            "role",
            "state",
        )
        self.cluster_slots = gauge("redis_cluster_topology_slots", "Slots of a cluster by state.", "cluster", "state")
        self.cluster_shard_replicas = gauge(
            "redis_cluster_topology_shard_replicas",
            "Healthy replicas of each shard of a cluster; shard is its first slot.",
            "cluster",
            "shard",
        )
        self.cluster_disagreeing = gauge(
            "redis_cluster_topology_disagreeing_nodes",
            "Nodes that report another topology than most nodes.",
            "cluster",
        )
        self.cluster_changes = counter(
            "redis_cluster_topology_changes",
            "Changes of the topology of a cluster; slots counts those that moved to another shard.",
            "cluster",
            "change",
        )

        sentinel_set = ("sentinel", "master")
        self.failovers = counter(
            "redis_sentinel_failovers", "Times that a master moved to another server.", *sentinel_set
        )
        self.master_missing = counter(
            "redis_sentinel_master_missing_seconds",
            "Time during which a client found no master that answers.",
            *sentinel_set,
        )
        self.last_failover = gauge(
            "redis_sentinel_last_failover_seconds",
            "Time without a master that answers, at the newest failover.",
            *sentinel_set,
        )
        self.sentinel_up = gauge(
            "redis_sentinel_watch_up", "1 while a Sentinel answers queries.", "sentinel", "address"
        )
        self.quorum_ok = gauge(
            "redis_sentinel_quorum_ok",
            "1 while enough Sentinels are reachable to agree on a failover and to perform it.",
            *sentinel_set,
        )
        self.disagreeing = gauge(
            "redis_sentinel_disagreeing", "Sentinels that report another master than most of them.", *sentinel_set
        )

    def forget(self, kind: str, source: str) -> None:
        """Drop all series of a source."""
        for first_label, family in self._families:
            if first_label == "kind":
                family.retain((kind, source))
            elif first_label == kind:
                family.retain((source,))

    def show_every_family(self) -> None:
        """Create one child of each family, so that all can be described."""
        for _, family in self._families:
            family.ensure_sample()
