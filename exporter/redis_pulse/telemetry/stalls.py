"""Metrics of the stalls of one target, by their cause."""

from redis_pulse.telemetry import families
from redis_pulse.telemetry.target import TargetMetrics
from redis_pulse.text_format import render_label


class StallMetrics:
    """Counts stalls by their cause, and attaches them to the histogram of the pings as exemplars.

    ``timeout`` is the deadline of a ping in seconds, at which a longer wait is observed.
    """

    def __init__(self, metrics: TargetMetrics, timeout: float) -> None:
        self._metrics = metrics
        self._timeout = timeout

    def ended(self, stall_id: int, cause: str, started: float, seconds: float) -> None:
        """Count a stall that began at ``started`` (Unix time) and whose longest wait took ``seconds``."""
        metrics = self._metrics
        for family, amount in ((families.STALLS, 1), (families.STALL_SECONDS, seconds)):
            metrics.counter_from_zero(family, cause).inc(amount)
        metrics.value(families.STALL_LAST_TIME, cause).set(started)
        metrics.value(families.STALL_LAST_SECONDS, cause).set(seconds)
        observed = min(seconds, self._timeout)
        pings = metrics.histogram(families.DURATION, "ping")
        pings.set_exemplar(render_label("stall_id", str(stall_id)), observed, started + observed)
