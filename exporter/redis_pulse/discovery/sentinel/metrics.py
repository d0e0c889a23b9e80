"""What is told of a Sentinel set as a whole."""

from collections.abc import Iterable, Mapping

from redis_pulse import log
from redis_pulse.discovery.base import SourceContext
from redis_pulse.discovery.sentinel.master import SentinelMaster
from redis_pulse.discovery.sentinel.outage import OutageDelta


class SentinelMetrics:
    """The series of one set."""

    def __init__(self, name: str, around: SourceContext) -> None:
        self._name = name
        self._rows = around.metrics
        self._log = log.get("discovery")

    def sentinels(self, up: Mapping[str, bool]) -> None:
        """Tell which Sentinels answer."""
        for address, value in up.items():
            self._rows.sentinel_up.labels(self._name, address).set(value)
        self._rows.sentinel_up.retain((self._name,), {(self._name, address) for address in up})

    def master(self, master: SentinelMaster, moves: int) -> None:
        """Tell what the Sentinels say of a master, which moved so often since."""
        whose = (self._name, master.name)
        self._rows.failovers.labels(*whose).inc(moves)
        self._rows.disagreeing.labels(*whose).set(master.disagreeing)
        if master.quorum is None:
            self._rows.quorum_ok.retain(whose)
        else:
            self._rows.quorum_ok.labels(*whose).set(master.quorum)

    def missing(self, master: str, passed: OutageDelta) -> None:
        """Count time without a master."""
        self._rows.master_missing.labels(self._name, master).inc(passed.seconds)
        if passed.failover is not None:
            self._rows.last_failover.labels(self._name, master).set(passed.failover)
            self._log.info("the new master answers", source=self._name, master=master, after=round(passed.failover, 3))

    def all_unreachable(self, masters: Iterable[str]) -> None:
        """Say of each master that there is no quorum that we could see, and nothing of who disagrees."""
        for master in masters:
            self._rows.quorum_ok.labels(self._name, master).set(0)
            self._rows.disagreeing.retain((self._name, master))

    def log_move(self, master: str, old: str, new: str) -> None:
        """Log that a master is somewhere else."""
        self._log.info("the master moved", source=self._name, master=master, old=old, new=new)

    def forget(self, master: str) -> None:
        """Drop every series of a master that nobody watches any more."""
        for rows in (self._rows.failovers, self._rows.master_missing):
            rows.retain((self._name, master))
        self._forget_state(master)

    def close(self) -> None:
        """Drop what is only true while we ask; what was counted stays, for a source of the same name may follow."""
        self._rows.sentinel_up.retain((self._name,))
        self._forget_state()

    def _forget_state(self, *master: str) -> None:
        for rows in (self._rows.quorum_ok, self._rows.disagreeing):
            rows.retain((self._name, *master))
        if master:
            self._rows.last_failover.retain((self._name, *master))
