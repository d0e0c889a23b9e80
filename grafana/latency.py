"""Probe latency: what a client waits for, where the time goes, and how far the measurement itself can be trusted."""

from grafana import latency_trust
from grafana.common import Board
from grafana.heatmaps import heatmap_panel
from grafana.panels import COUNT, Empty, Query, graph_panel
from grafana.promql import (
    BY_TARGET,
    DURATION_BUCKETS,
    LONGEST_PING,
    PING,
    PING_P99,
    calculated,
    of,
    quantile,
    rate,
    server_rate,
)
from grafana.variables import RED

PING_BUCKETS = rate(of(DURATION_BUCKETS, PING))
PHASES = "redis_connect_phase_duration_seconds_bucket"
SLOTS = rate(of("redis_operations_total", PING))
FAILURES = "redis_operation_failures_total"


def board() -> Board:
    """Build the dashboard, top-down: how slow, for whom, in which phase, why it failed, and our own share."""
    made = Board(
        "redis-pulse-latency",
        "Probe latency",
        "What a client of each server waits for, where that time goes, and whether the measurement can be trusted.",
        slo=True,
    )
    _felt(made)
    _parts(made)
    latency_trust.rows(made)
    return made


def _felt(made: Board) -> None:
    made.row("What a client waits for a PING")
    made.add(
        heatmap_panel(
            "Ping latency",
            f"sum by (le) ({PING_BUCKETS})",
            unit="s",
            description="Where the pings of all chosen servers fell, each second. Two bands are two kinds of servers "
            "or paths; a band that splits off upwards is a stall that a mean would hide: choose single targets above "
            "to find whose it is.",
        ),
        width=12,
        height=10,
    )
    made.add(
        graph_panel(
            "Ping quantiles",
            *(
                Query(quantile(q, DURATION_BUCKETS, PING, by=""), legend)
                for q, legend in ((0.5, "median"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"))
            ),
            Query(f"max({of('redis_operation_duration_max_seconds', PING)})", "max"),
            Query("vector($edge)", "objective"),
            unit="s",
            logarithmic=True,
            description="How long clients of the chosen servers waited; a timeout counts as its deadline. The median "
            "rising: everything is slower, look at CPU and network. Only p99.9 and max: single stalls, look at the "
            "slow log, forks and swap. The dotted line is the chosen edge; see “Pings in each point” for how much a "
            "quantile is worth.",
        ),
        width=12,
        height=10,
    )
    made.fill(
        graph_panel(
            "Ping p99 by target",
            Query(PING_P99, "{{target}}"),
            Query("vector($edge)", "objective"),
            unit="s",
            logarithmic=True,
            description="Who is slow. One slow server: its slow log, big keys, forks, neighbours. All at once: the "
            "network, or this exporter (see “Event loop lag”).",
        ),
        graph_panel(
            "Longest ping",
            Query(LONGEST_PING, "{{target}}"),
            Query("vector($edge)", "objective"),
            unit="s",
            logarithmic=True,
            description="The longest ping of the last one or two poll intervals, exact, whatever the buckets. A single "
            "peak is one stall: look at that second in the slow log and at the fork time of the server.",
        ),
        graph_panel(
            "Pings in each point",
            Query(
                f"sum {BY_TARGET} (increase({of('redis_operation_duration_seconds_count', PING)}[$__rate_interval]))",
                "{{target}}",
            ),
            unit=COUNT,
            limits=[(100, RED)],
            least_top=120,
            description="How many pings stand behind each point of the quantiles. Below 100 a p99 is only the longest "
            "ping, below 1000 a p99.9 is: look at a longer time, or let the probe ping more often (probe.interval).",
        ),
        width=8,
        height=8,
    )


def _parts(made: Board) -> None:
    made.row("Where the time goes")
    calls, spent = "redis_commands_total", "redis_commands_duration_seconds_total"
    total = "sum by (job, target) ({})".format
    made.fill(
        graph_panel(
            "Phases of connecting (p99), and a ping",
            Query(quantile(0.99, PHASES, by="phase"), "{{phase}}"),
            Query(quantile(0.99, DURATION_BUCKETS, PING, by="operation"), "{{operation}}"),
            unit="s",
            logarithmic=True,
            description="dns, tcp, tls and auth are paid by clients that connect anew. Slow dns: the resolver. Slow "
            "tcp: the network, or a full accept queue. Slow tls: CPU of the server. Slow auth: a busy server. Give "
            "clients a pool if the sum is far above a ping.",
        ),
        graph_panel(
            "A client without a pool",
            *(
                Query(quantile(q, DURATION_BUCKETS, 'operation="cold_connect"', by=""), legend)
                for q, legend in ((0.5, "median"), (0.99, "p99"))
            ),
            unit="s",
            logarithmic=True,
            description="Connecting, logging in, one ping and closing, as clients without a pool do for each command. "
            "Far above “Ping quantiles” it pays to give those clients a pool.",
            empty=Empty("probe.cold_connect is off, as it is by default", "probe.cold_connect is off"),
        ),
        graph_panel(
            "The server's own mean, beside what clients feel",
            Query(
                calculated(total(server_rate(spent, also="cmd")), total(server_rate(calls, also="cmd"))),
                "{{target}} server",
            ),
            Query(quantile(0.5, DURATION_BUCKETS, PING), "{{target}} ping p50"),
            unit="s",
            logarithmic=True,
            description="Mean time that the server itself counts for a command, without waiting and network, beside "
            "the median ping. Pings slow and the server fast: commands wait in line, or the network is slow. Both "
            "slow: expensive commands, see them in the dashboard Instance.",
        ),
        width=8,
        height=9,
    )
