"""The monitor that finds and explains the stalls of one target, if that is on."""

import math
from collections.abc import Callable
from itertools import count

from redis_pulse.client import TargetClient
from redis_pulse.daemon.target_events import TargetEventLogger
from redis_pulse.stalls import EnquirySlots, FreshTls, StallMonitor, StallRegistry
from redis_pulse.telemetry import TargetMetrics

#: Snapshots a second, of all targets together. More would leave no CPU time for pings and pages.
MAX_SNAPSHOT_RATE = 1000


def snapshots_in_turn(
    take: Callable[[float], None], interval: float, targets: Callable[[], int]
) -> Callable[[float], None]:
    """Return what is called for each moment, ``interval`` seconds apart, at which a target may get a snapshot.

    With more than ``MAX_SNAPSHOT_RATE`` a second of all ``targets``, ``take`` is called every second, third … time.
    """
    moments = count()

    def snapshot(due: float) -> None:
        stride = math.ceil(targets() / interval / MAX_SNAPSHOT_RATE)
        if next(moments) % max(1, stride) == 0:
            take(due)

    return snapshot


def make_stall_monitor(
    client: TargetClient,
    metrics: TargetMetrics,
    events: TargetEventLogger,
    registry: StallRegistry,
    slots: EnquirySlots,
    *,
    clock: Callable[[], float],
    wall: Callable[[], float],
) -> StallMonitor | None:
    """Return the monitor of the target of a client; None if it is switched off."""
    target = client.target
    if not target.stalls.enabled:
        return None
    monitor = StallMonitor(target, client.ask, registry, slots, metrics, events.on_stall, clock=clock, wall=wall)
    monitor.glance = client.glance
    if target.endpoint.tls:
        name = target.tls.server_name or target.endpoint.host
        monitor.tls = FreshTls(client.tls_context.ready, name)
    return monitor
