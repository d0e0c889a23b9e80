"""Dashboard Probe latency: how long a client waits, where the time goes, how reliable the measurement is."""

from grafana import latency_clients, latency_trust, stalls
from grafana.common import Board
from grafana.heatmaps import heatmap_panel
from grafana.panels import COUNT, Empty, Query, graph_panel
from grafana.promql import (
    BY_TARGET,
    DURATIONS,
    HISTOGRAMS,
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

PING_BUCKETS = rate(of(DURATIONS, PING))
PHASES = f"redis_connect_phase_duration_{HISTOGRAMS}"
SLOTS = rate(of("redis_operations_total", PING))
FAILURES = "redis_operation_failures_total"


def board() -> Board:
    """Return the dashboard: ping latency, stalls, its parts, failed and late pings, then the exporter's own share."""
    dashboard = Board(
        "redis-pulse-latency",
        "Probe latency",
        "How long a client of each server waits, where that time goes, and whether the measurement can be trusted.",
        slo=True,
        histograms=True,
    )
    _client_view(dashboard)
    stalls.row(dashboard)
    _parts(dashboard)
    latency_clients.row(dashboard)
    latency_trust.rows(dashboard)
    return dashboard


def _client_view(dashboard: Board) -> None:
    dashboard.row("What a client waits for a PING")
    dashboard.add(
        heatmap_panel(
            "Ping latency",
            f"sum by (le) ({PING_BUCKETS})",
            unit="s",
            description="The distribution of the ping latencies of all chosen servers over time. Two bands are two "
            "kinds of servers or network paths. A band that splits off upwards is a stall, which a mean would "
            "hide: choose single targets above to find its server.",
        ),
        width=12,
        height=10,
    )
    dashboard.add(
        graph_panel(
            "Ping quantiles",
            *(
                Query(quantile(q, DURATIONS, PING, by=""), legend)
                for q, legend in ((0.5, "median"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"))
            ),
            Query(f"max({of('redis_operation_duration_max_seconds', PING)})", "max"),
            Query("vector($edge)", "objective"),
            unit="s",
            logarithmic=True,
            description="How long clients of the chosen servers waited. A timeout counts with its deadline. The "
            "median rises: everything is slower, look at CPU and network. Only p99.9 and max rise: single "
            "stalls, look at the slow log, forks and swap. The dotted line is the chosen latency edge. “Pings "
            "in each point” shows how reliable a quantile is.",
        ),
        width=12,
        height=10,
    )
    dashboard.fill(
        graph_panel(
            "Ping p99 by target",
            Query(PING_P99, "{{target}}"),
            Query("vector($edge)", "objective"),
            unit="s",
            logarithmic=True,
            description="Which servers are slow. One slow server: look at its slow log, big keys, forks and other "
            "processes on its host. All servers at once: the network, or this exporter (look at “Event loop "
            "lag”).",
        ),
        graph_panel(
            "Longest ping",
            Query(LONGEST_PING, "{{target}}"),
            Query("vector($edge)", "objective"),
            unit="s",
            logarithmic=True,
            description="The longest ping of the last one or two poll intervals. It is exact and does not depend on "
            "the buckets. A single peak is one stall: look at that second in the slow log and at the fork time "
            "of the server.",
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
            description="Number of pings behind each point of the quantiles. Below 100, a p99 is only the longest "
            "ping. Below 1000, so is a p99.9. Look at a longer time, or set a shorter probe.interval.",
        ),
        width=8,
        height=8,
    )


def _parts(dashboard: Board) -> None:
    dashboard.row("Where the time goes")
    calls, spent = "redis_commands_total", "redis_commands_duration_seconds_total"
    total = "sum by (job, target) ({})".format
    dashboard.fill(
        graph_panel(
            "Phases of connecting (p99), and a ping",
            Query(quantile(0.99, PHASES, by="phase"), "{{phase}}"),
            Query(quantile(0.99, DURATIONS, PING, by="operation"), "{{operation}}"),
            unit="s",
            logarithmic=True,
            description="dns, tcp, tls and auth delay clients that open a new connection. Slow dns: the resolver. "
            "Slow tcp: the network, or a full accept queue. Slow tls: CPU of the server. Slow auth: a busy "
            "server. If the sum is far above a ping, give clients a connection pool.",
        ),
        graph_panel(
            "A client without a pool",
            *(
                Query(quantile(q, DURATIONS, 'operation="cold_connect"', by=""), legend)
                for q, legend in ((0.5, "median"), (0.99, "p99"))
            ),
            unit="s",
            logarithmic=True,
            description="Connecting, logging in, one ping and closing, as clients without a pool do for each "
            "command. If it is far above “Ping quantiles”, give those clients a pool.",
            empty=Empty("probe.cold_connect is off, which is the default", "probe.cold_connect is off"),
        ),
        graph_panel(
            "The server's own mean, compared with the ping",
            Query(
                calculated(total(server_rate(spent, also="cmd")), total(server_rate(calls, also="cmd"))),
                "{{target}} server",
            ),
            Query(quantile(0.5, DURATIONS, PING), "{{target}} ping p50"),
            unit="s",
            logarithmic=True,
            description="Mean duration of a command as the server measures it, without waiting and network, and the "
            "median ping. Slow pings and a fast server: commands wait in a queue, or the network is slow. Both "
            "slow: expensive commands, look at the dashboard Instance.",
        ),
        latency_clients.split_panel(),
        width=12,
        height=8,
    )
