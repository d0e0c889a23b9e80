"""How far our own measurement can be trusted: what we would have added to it, and what we were late by."""

from prometheus_client import CollectorRegistry, Counter, Histogram

#: Seconds. From the wake-up of an idle loop to one that measures itself.
_OVERHEAD = (
    *(10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6),
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
)
_LATENESS = (100e-6, 250e-6, 500e-6, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_PAUSES = (100e-6, 500e-6, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class ProbeAccuracyMetrics:
    """What the prober tells of itself, over all targets. ``observe`` in seconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(f"redis_exporter_{name}", text, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"redis_exporter_{name}", text, buckets=buckets, registry=registry)

        self.overhead = histogram(
            "probe_overhead_seconds",
            "What our own loop would have added to a reply's latency, and the kernel's stamp took off it.",
            _OVERHEAD,
        )
        self.lateness = histogram(
            "probe_send_lateness_seconds", "How long after it was due a PING was sent.", _LATENESS
        )
        self.uncertain_sends = counter(
            "probe_uncertain_sends", "PINGs that took long to send, so that we do not know when they left."
        )
        self.log_lost = counter("probe_log_lost_lines", "Lines of the probe log that could not be written.")
        self.accounting_errors = counter(
            "accounting_errors", "Renderings that found a slot without exactly one outcome: a fault of ours."
        )
        self.render_errors = counter(
            "render_errors", "Values left out of a page because reading them failed: a fault of ours."
        )
        self.gc_pause = histogram("gc_pause_seconds", "Pauses of the garbage collector.", _PAUSES)
