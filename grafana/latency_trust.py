"""Rows of the dashboard Probe latency: failed and late pings, and errors that the exporter itself causes."""

from grafana.common import Board
from grafana.panels import Empty, Query, graph_panel
from grafana.promql import BY_TARGET, PING, of, own, rate, ratio, where_any
from grafana.variables import RED

SLOTS = rate(of("redis_operations_total", PING))
FAILURES = "redis_operation_failures_total"


def rows(dashboard: Board) -> None:
    """Add the rows to the dashboard."""
    _failures(dashboard)
    _exporter_share(dashboard)


def _failures(dashboard: Board) -> None:
    dashboard.row("Pings that failed, were late or were never sent")
    failures = of(FAILURES, PING)
    dashboard.fill(
        graph_panel(
            "Failed pings by reason",
            Query(where_any(f"sum by (reason) ({rate(failures)})", failures, "reason"), "{{reason}}"),
            unit="cps",
            stacked=True,
            description="Failed pings per second. refused, reset, dns or unreachable: the process or the network. "
            "timeout: the server hangs or is overloaded. auth or permission: the credentials. skipped: look at "
            "“Skipped pings”.",
            empty=Empty("no ping failed", "no ping failed"),
        ),
        graph_panel(
            "Late replies",
            Query(f"sum {BY_TARGET} ({rate(of('redis_late_replies_total'))})", "{{target}}"),
            unit="cps",
            least_top=1,
            description="Replies that arrived after their ping had timed out: the server is running but slow. "
            "redis_last_late_reply_seconds shows how slow. If they come regularly, probe.timeout is too short "
            "for this network path.",
        ),
        graph_panel(
            "Skipped pings",
            Query(ratio(rate(of(FAILURES, f'{PING}, reason="skipped"')), SLOTS), "{{target}}"),
            unit="percentunit",
            limits=[(0.01, RED)],
            least_top=0.02,
            description="Share of pings that failed because the exporter itself was too late. The server did not "
            "cause them. Above 1 % give the exporter more CPU (no CPU limit), or fewer targets.",
        ),
        width=8,
        height=8,
    )


def _exporter_share(dashboard: Board) -> None:
    dashboard.row("The exporter's own share: can the measurement be trusted?")
    stamped = rate(of("redis_probe_clock_total", 'clock="kernel"'))
    dashboard.fill(
        graph_panel(
            "How late pings were sent (p99)",
            _own_quantile("redis_exporter_probe_send_lateness_seconds_bucket"),
            unit="s",
            description="Delay between the due time of a ping and its sending. It does not make the measured latency "
            "longer, but stalls of this length may be missed. Above 10 ms reduce the load of the exporter's "
            "host.",
        ),
        graph_panel(
            "Event loop lag (p99)",
            _own_quantile("redis_exporter_loop_lag_seconds_bucket"),
            unit="s",
            description="Delay of the exporter's own timers. Durations measured with the exporter's own clock may be "
            "too long by this time. Above 10 ms give the exporter more CPU, or fewer targets.",
        ),
        graph_panel(
            "Overhead taken out (p99)",
            _own_quantile("redis_exporter_probe_overhead_seconds_bucket"),
            unit="s",
            description="The time that the exporter's event loop would have added to a ping without the kernel "
            "timestamp of the reply. The latencies above do not contain it. If it is larger than they are, the "
            "exporter's host is overloaded.",
        ),
        graph_panel(
            "Replies stamped by the kernel",
            Query(ratio(stamped, rate(of("redis_probe_clock_total"))), "{{target}}"),
            unit="percentunit",
            least_top=1,
            description="Share of replies with an arrival time from the kernel. The other replies (TLS, systems "
            "other than Linux) get their time when the exporter reads them. Their latency contains the event "
            "loop lag: compare it with “Event loop lag”.",
        ),
        width=6,
        height=8,
    )


def _own_quantile(metric: str) -> Query:
    buckets = f"sum by (le, job, instance) ({rate(own(metric))})"
    return Query(f"histogram_quantile(0.99, {buckets})", "{{instance}}")
