"""Publish what is known of a whole Sentinel set, as metrics and log events."""

from collections.abc import Iterable, Mapping

from redis_pulse import log
from redis_pulse.discovery.sentinel.master import MasterUpdate
from redis_pulse.discovery.sentinel.outage import OutageDelta
from redis_pulse.telemetry import DiscoveryMetrics


class SentinelMetrics:
    """The series of the set ``name``."""

    def __init__(self, name: str, metrics: DiscoveryMetrics) -> None:
        self._name = name
        self._metrics = metrics
        self._log = log.get("discovery")

    def update_sentinels(self, up: Mapping[str, bool]) -> None:
        """Publish which Sentinels reply, by address."""
        for address, value in up.items():
            self._metrics.sentinel_up.labels(self._name, address).set(value)
        self._metrics.sentinel_up.retain((self._name,), {(self._name, address) for address in up})

    def update_master(self, master: str, update: MasterUpdate) -> None:
        """Publish what the Sentinels report about a master."""
        labels = (self._name, master)
        self._metrics.failovers.labels(*labels).inc(update.moves)
        self._metrics.disagreeing.labels(*labels).set(update.disagreeing)
        if update.quorum is None:
            self._metrics.quorum_ok.retain(labels)
        else:
            self._metrics.quorum_ok.labels(*labels).set(update.quorum)

    def add_outage(self, master: str, delta: OutageDelta) -> None:
        """Count time without a master, and publish the duration of a failover that is complete."""
        self._metrics.master_missing.labels(self._name, master).inc(delta.seconds)
        if delta.failover_seconds is not None:
            self._metrics.last_failover.labels(self._name, master).set(delta.failover_seconds)
            after = round(delta.failover_seconds, 3)
            self._log.info("the new master answers", source=self._name, master=master, after=after)

    def all_unreachable(self, masters: Iterable[str]) -> None:
        """Publish that no quorum is visible for any master; who disagrees is unknown."""
        for master in masters:
            self._metrics.quorum_ok.labels(self._name, master).set(0)
            self._metrics.disagreeing.retain((self._name, master))

    def log_move(self, master: str, old: str, new: str) -> None:
        """Log that a master has another address."""
        self._log.info("the master moved", source=self._name, master=master, old=old, new=new)

    def forget(self, master: str) -> None:
        """Remove every series of a master that the Sentinels no longer watch."""
        for family in (self._metrics.failovers, self._metrics.master_missing):
            family.retain((self._name, master))
        self._metrics.last_failover.retain((self._name, master))
        self._forget_state(master)

    def close(self) -> None:
        """Remove the state, which is only valid while the source runs.

        The counters stay, because a source with the same name may follow. It continues to count.
        """
        self._metrics.sentinel_up.retain((self._name,))
        self._forget_state()

    def _forget_state(self, *master: str) -> None:
        for family in (self._metrics.quorum_ok, self._metrics.disagreeing):
            family.retain((self._name, *master))
