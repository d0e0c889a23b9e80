"""The monitor that finds and explains the stalls of one target, if that is on."""

from collections.abc import Callable

from redis_pulse.client import TargetClient
from redis_pulse.daemon.target_events import TargetEventLogger
from redis_pulse.stalls import EnquirySlots, FreshTls, StallMonitor, StallRegistry
from redis_pulse.telemetry import TargetMetrics


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
