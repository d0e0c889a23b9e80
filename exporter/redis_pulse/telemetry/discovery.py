"""How the search for targets fares, and what is true of a whole cluster or Sentinel set rather than of one server."""

from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge

_Kind = TypeVar("_Kind", Counter, Gauge)


class OwnedFamily(Generic[_Kind]):
    """A family whose first label (or first two) says whose it is, so that all of somebody's series can be dropped."""

    def __init__(self, family: _Kind, labels: tuple[str, ...]) -> None:
        self._family: _Kind = family
        self._labels = labels
        self._known: set[tuple[str, ...]] = set()

    def labels(self, *values: str) -> _Kind:
        """Return the child with these label values; it is made when there is none."""
        self._known.add(values)
        child: _Kind = self._family.labels(*values)
        return child

    def retain(self, owner: tuple[str, ...], kept: set[tuple[str, ...]] = frozenset()) -> None:  # type: ignore[assignment]
        """Drop the children whose values begin with ``owner``, but for those in ``kept`` (whole label values)."""
        for values in [one for one in self._known if one[: len(owner)] == owner and one not in kept]:
            self._known.discard(values)
            self._family.remove(*values)

    def ensure_sample(self) -> None:
        """Make one child, so that the family can be described."""
        self.labels(*self._labels)


class DiscoveryMetrics:
    """Metrics of discovery. Label values: ``source`` is the name of the source, never with a secret."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rows: list[tuple[str, OwnedFamily[Counter] | OwnedFamily[Gauge]]] = []

        def gauge(name: str, text: str, *labels: str) -> OwnedFamily[Gauge]:
            rows = OwnedFamily(Gauge(name, text, labels, registry=registry), labels)
            self._rows.append((labels[0], rows))
            return rows

        def counter(name: str, text: str, *labels: str) -> OwnedFamily[Counter]:
            rows = OwnedFamily(Counter(name, text, labels, registry=registry), labels)
            self._rows.append((labels[0], rows))
            return rows

        whose = ("kind", "source")
        self.targets = gauge("redis_exporter_discovery_targets", "Targets that a source names now.", *whose)
        self.refreshes = counter("redis_exporter_discovery_refreshes", "Times that a source was asked.", *whose)
        self.failures = counter(
            "redis_exporter_discovery_failures", "Times that a source did not answer; its targets stay.", *whose
        )
        self.last_success = gauge(
            "redis_exporter_discovery_last_success_timestamp_seconds", "When a source last answered.", *whose
        )
        self.changes = counter(
            "redis_exporter_discovery_changes", "Targets that a source added, removed or changed.", *whose, "change"
        )
        self.refused = counter(
            "redis_exporter_discovery_refused",
            "Targets that a source names and that are not taken: not allowed, unreadable, known already, too many.",
            *(*whose, "why"),
        )
        self.shard = gauge("redis_exporter_shard_info", "1, with which part of the targets is ours.", "shard", "shards")

        self.cluster_nodes = gauge(
            "redis_cluster_topology_nodes",
            "Nodes of a cluster, as most of its nodes see it.",
            "cluster",
            "role",
            "state",
        )
        self.cluster_slots = gauge("redis_cluster_topology_slots", "Slots of a cluster by state.", "cluster", "state")
        self.cluster_shard_replicas = gauge(
            "redis_cluster_topology_shard_replicas",
            "Replicas in order, of each shard of a cluster; shard is its first slot.",
            "cluster",
            "shard",
        )
        self.cluster_disagreeing = gauge(
            "redis_cluster_topology_disagreeing_nodes", "Nodes that see another topology than most.", "cluster"
        )
        self.cluster_changes = counter(
            "redis_cluster_topology_changes",
            "Changes of the topology of a cluster; slots counts those that moved to another shard.",
            "cluster",
            "change",
        )

        of_set = ("sentinel", "master")
        self.failovers = counter("redis_sentinel_failovers", "Times that a master moved to another server.", *of_set)
        self.master_missing = counter(
            "redis_sentinel_master_missing_seconds", "Time in which a client found no master that answers.", *of_set
        )
        self.last_failover = gauge(
            "redis_sentinel_last_failover_seconds",
            "How long a client found no master that answers, when it last moved.",
            *of_set,
        )
        self.sentinel_up = gauge(
            "redis_sentinel_watch_up", "1 while a Sentinel answers our questions.", "sentinel", "address"
        )
        self.quorum_ok = gauge(
            "redis_sentinel_quorum_ok", "1 while enough Sentinels are there to agree on and do a failover.", *of_set
        )
        self.disagreeing = gauge(
            "redis_sentinel_disagreeing", "Sentinels that name another master than most of them.", *of_set
        )

    def forget(self, kind: str, source: str) -> None:
        """Drop every series of a source."""
        for first, rows in self._rows:
            if first == "kind":
                rows.retain((kind, source))
            elif first == kind:
                rows.retain((source,))

    def show_every_family(self) -> None:
        """Make one child of each family, for its description."""
        for _, rows in self._rows:
            rows.ensure_sample()
