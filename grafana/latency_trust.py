"""Rows of Probe latency: what is not in a latency, since it failed, came late, or is our own fault."""

from grafana.common import Board
from grafana.panels import Empty, Query, graph_panel
from grafana.promql import BY_TARGET, PING, of, own, rate, ratio, where_any
from grafana.variables import RED

SLOTS = rate(of("redis_operations_total", PING))
FAILURES = "redis_operation_failures_total"


def rows(made: Board) -> None:
    """Add the rows to the dashboard."""
    _failures(made)
    _ourselves(made)


def _failures(made: Board) -> None:
    made.row("Pings that failed, were late or were never sent")
    failures = of(FAILURES, PING)
    made.fill(
        graph_panel(
            "Failed pings by reason",
            Query(where_any(f"sum by (reason) ({rate(failures)})", failures, "reason"), "{{reason}}"),
            unit="cps",
            stacked=True,
            description="Failed pings per second. refused, reset, dns, unreachable: process or network. timeout: hung "
            "or overloaded. auth, permission: credentials. skipped: see beside it.",
            empty=Empty("no ping failed", "no ping failed"),
        ),
        graph_panel(
            "Late replies",
            Query(f"sum {BY_TARGET} ({rate(of('redis_late_replies_total'))})", "{{target}}"),
            unit="cps",
            least_top=1,
            description="Replies that came after their ping had timed out: the server is alive and slow, not dead. "
            "How slow shows redis_last_late_reply_seconds; if it is regular, probe.timeout is too tight for this path.",
        ),
        graph_panel(
            "Skipped pings",
            Query(ratio(rate(of(FAILURES, f'{PING}, reason="skipped"')), SLOTS), "{{target}}"),
            unit="percentunit",
            limits=[(0.01, RED)],
            least_top=0.02,
            description="Pings that the exporter itself was too late for; the server is not to blame. Above 1 % give "
            "the exporter CPU (no CPU limit), or fewer targets.",
        ),
        width=8,
        height=8,
    )


def _ourselves(made: Board) -> None:
    made.row("Our own share: can the measurement be trusted?")
    stamped = rate(of("redis_probe_clock_total", 'clock="kernel"'))
    made.fill(
        graph_panel(
            "How late pings were sent (p99)",
            _own_quantile("redis_exporter_probe_send_lateness_seconds_bucket"),
            unit="s",
            description="How long after it was due a ping left. It does not make pings slower, but a stall may be "
            "missed by as much. Above 10 ms take load off the exporter's host.",
        ),
        graph_panel(
            "Event loop lag (p99)",
            _own_quantile("redis_exporter_loop_lag_seconds_bucket"),
            unit="s",
            description="How late our timers woke. Durations that our own clock measured may be too long by as much; "
            "above 10 ms give the exporter CPU, or fewer targets.",
        ),
        graph_panel(
            "Overhead taken out (p99)",
            _own_quantile("redis_exporter_probe_overhead_seconds_bucket"),
            unit="s",
            description="What our own loop would have added to a ping, had the kernel not stamped the reply: it is not "
            "in the latencies above. If it is larger than they are, the exporter's host is overloaded.",
        ),
        graph_panel(
            "Replies stamped by the kernel",
            Query(ratio(stamped, rate(of("redis_probe_clock_total"))), "{{target}}"),
            unit="percentunit",
            least_top=1,
            description="Share of replies whose arrival the kernel timed. The rest (TLS, other systems than Linux) is "
            "timed when we read it, and so holds our own event loop lag: compare it with the panel beside it.",
        ),
        width=6,
        height=8,
    )


def _own_quantile(metric: str) -> Query:
    buckets = f"sum by (le, job, instance) ({rate(own(metric))})"
    return Query(f"histogram_quantile(0.99, {buckets})", "{{instance}}")
