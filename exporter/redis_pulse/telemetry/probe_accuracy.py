"""How accurate the probes of all targets are."""

from prometheus_client import CollectorRegistry, Counter, Histogram

#: Seconds. From the wake-up of an idle loop to that of a loop which measures mostly itself.
_OVERHEAD_BUCKETS = (
    *(10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6),
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
)
_LATENESS_BUCKETS = (100e-6, 250e-6, 500e-6, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_PAUSE_BUCKETS = (100e-6, 500e-6, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class ProbeAccuracyMetrics:
    """How accurate the measurements are, over all targets. Histograms observe seconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(f"redis_exporter_{name}", text, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"redis_exporter_{name}", text, buckets=buckets, registry=registry)

        self.overhead = histogram(
            "probe_overhead_seconds",
            "Delay of the exporter in reading a reply, which the kernel timestamp kept out of the latency.",
            _OVERHEAD_BUCKETS,
        )
        self.lateness = histogram(
            "probe_send_lateness_seconds", "Time from the due time of a PING until it was sent.", _LATENESS_BUCKETS
        )
        self.uncertain_sends = counter(
            "probe_uncertain_sends", "PINGs that took long to send, so that their send time is uncertain."
        )
        self.log_lost = counter("probe_log_lost_lines", "Lines of the probe log that could not be written.")
        self.accounting_errors = counter(
            "accounting_errors",
            "Renderings that found a scheduled probe without exactly one outcome: a fault of the exporter.",
        )
        self.render_errors = counter(
            "render_errors", "Values left out of a page because reading them failed: a fault of the exporter."
        )
        self.gc_pause = histogram("gc_pause_seconds", "Pauses of the garbage collector.", _PAUSE_BUCKETS)
