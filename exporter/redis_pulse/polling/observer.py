"""Who is notified of what a poll found."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from redis_pulse.errors import TargetError
from redis_pulse.metric import CollectorFault, LatencySpikes, SlowCommands


class CollectorObserver(Protocol):
    """Is notified of the results of collectors."""

    def on_collector(self, collector: str, error: Exception | None) -> None:
        """Handle the end of a run. An ``error`` that is not a TargetError is a fault of the collector itself."""
        ...

    def unsupported(self, collector: str, error: TargetError) -> None:
        """Handle a run that failed because the server lacks what the collector reads."""
        ...

    def denied(self, collector: str, commands: Iterable[str], *, worked: bool) -> None:
        """Handle commands that the user may not run. ``worked``: the collector succeeded without them."""
        ...

    def skipped_for_role(self, collector: str) -> None:
        """Handle a collector that no longer runs on this server."""
        ...

    def partial_failures(self, collector: str, faults: Sequence[CollectorFault]) -> None:
        """Handle the parts of a collector that returned nothing, in a run that succeeded."""
        ...

    def slow_commands(self, found: SlowCommands) -> None:
        """Handle the slow commands that the server has logged since the last poll."""
        ...

    def latency_spikes(self, found: LatencySpikes) -> None:
        """Handle the newest spikes of the server's latency monitor."""
        ...

    def polled(self) -> None:
        """Handle the end of a poll."""
        ...
