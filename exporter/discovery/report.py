"""What is true of a whole cluster, to its instruments and to the log."""

from collections.abc import Mapping, Sequence

from exporter import log
from exporter.config import Endpoint
from exporter.discovery.counts import CHANGES, changes, tally
from exporter.discovery.topology import View, disagreeing
from exporter.instruments import DiscoveryInstruments
from exporter.parse.cluster_nodes import State


class TopologyReport:
    """Publishes the topology of the cluster ``name``; without instruments it only logs what changed."""

    def __init__(self, name: str, instruments: DiscoveryInstruments | None) -> None:
        self._name = name
        self._instruments = instruments
        self._log = log.get("discovery").bind(cluster=name)
        self._noted = log.Changes()
        if instruments is not None:
            for change in CHANGES:
                instruments.cluster_changes.of(name, change)

    def take(
        self,
        old: View | None,
        view: View,
        views: Sequence[View],
        state: Mapping[str, State],
        places: Mapping[str, Endpoint],
    ) -> list[Endpoint]:
        """Book what there is now; return where those are that do not agree."""
        changed = {} if old is None else {change: count for change, count in changes(old, view).items() if count}
        dissent = disagreeing(view, views, set(places.values()))
        where = sorted(one.reached.address for one in dissent)
        if changed:
            self._log.info("topology changed", **changed)
        if self._noted.note("dissent", tuple(where)) and (where or old is not None):
            if where:
                self._log.warning("nodes see another topology than most", nodes=", ".join(where[:10]), count=len(where))
            else:
                self._log.info("nodes agree about the topology again")
        if self._instruments is not None:
            self._publish(self._instruments, changed, len(dissent), view, state)
        return [one.reached for one in dissent]

    def withdraw(self) -> None:
        """Show nothing as true that is not known any more; what was counted stays."""
        if (rows := self._instruments) is not None:
            for family in (rows.cluster_nodes, rows.cluster_slots, rows.cluster_shard_replicas):
                family.keep((self._name,))
            rows.cluster_disagreeing.keep((self._name,))

    def _publish(
        self,
        rows: DiscoveryInstruments,
        changed: Mapping[str, int],
        dissent: int,
        view: View,
        state: Mapping[str, State],
    ) -> None:
        counts = tally(view, state)
        for change, count in changed.items():
            rows.cluster_changes.of(self._name, change).inc(count)
        for (role, each), count in counts.nodes.items():
            rows.cluster_nodes.of(self._name, role, each).set(count)
        for kind, count in counts.slots.items():
            rows.cluster_slots.of(self._name, kind).set(count)
        for shard, count in counts.replicas.items():
            rows.cluster_shard_replicas.of(self._name, shard).set(count)
        rows.cluster_shard_replicas.keep((self._name,), {(self._name, shard) for shard in counts.replicas})
        rows.cluster_disagreeing.of(self._name).set(dissent)
