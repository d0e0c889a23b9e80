"""Dashboard Fleet overview: are all servers up, which one misses its objective, can the measurement be trusted."""

from grafana import overview_table, stalls, topology
from grafana.common import Board, failures_panel
from grafana.panels import COUNT, Query, State, graph_panel, stat_panel, states_panel
from grafana.promql import (
    BY_TARGET,
    DURATIONS,
    FAILURE_RATIO,
    NOT_CLOSED,
    PING,
    PING_P99,
    SAMPLE_AGE,
    UP,
    WHOLE,
    increase,
    of,
    quantile,
    server_rate,
    top,
    worst,
)
from grafana.slo_math import burn, failed, worst_of_both
from grafana.variables import GREEN, ORANGE, RED, YELLOW

#: The same threshold as the alert RedisProbeFailureRateHigh.
FAILURE_LIMIT = 0.05
#: The default of ``poll.max_age``.
MAX_AGE = 45


def board() -> Board:
    """Return the dashboard: stats of the whole fleet, the table of servers, stalls, then the worst servers."""
    dashboard = Board(
        "redis-pulse-overview",
        "Fleet overview",
        "Which Redis and Valkey servers are down or slow, and can the measurement be trusted.",
        slo=True,
        histograms=True,
    )
    _at_a_glance(dashboard)
    dashboard.row("Servers")
    dashboard.add(overview_table.panel(), width=24, height=11)
    _availability(dashboard)
    stalls.row(dashboard)
    _worst(dashboard)
    topology.rows(dashboard)
    return dashboard


def _at_a_glance(dashboard: Board) -> None:
    dashboard.fill(
        stat_panel(
            "Targets up",
            f"sum({UP})",
            unit=COUNT,
            description="Servers whose newest ping was answered within its deadline. No data: Prometheus scrapes no "
            "exporter. Look at the targets page of Prometheus.",
            steps=[(None, GREEN)],
            trend=False,
        ),
        stat_panel(
            "Targets down",
            f"count({UP}) - sum({UP})",
            unit=COUNT,
            description="Servers whose newest ping failed. If it is not 0, find them in “All servers” and the reason "
            "in “Failures by reason”. Then follow docs/runbooks/RedisTargetDown.md.",
            steps=[(None, GREEN), (1, RED)],
            trend=False,
        ),
        stat_panel(
            "Worst burn rate",
            f"max({worst_of_both(burn('1h'))})",
            unit="short",
            decimals=1,
            description="The worst burn rate of the last hour, for failed or for slow pings: how many times faster "
            "than allowed a server used its error budget. 1 uses all of it in 30 days. 14.4 uses it in two "
            "days: open the dashboard SLO and act now.",
            steps=[(None, GREEN), (1, YELLOW), (6, ORANGE), (14.4, RED)],
        ),
        stat_panel(
            "Worst ping p99",
            f"max({PING_P99})",
            unit="s",
            description="99th percentile of the ping latency on the slowest server, as a client would have waited. "
            "Above 10 ms look at “Slowest servers”, then at slow commands and the CPU of this server.",
            steps=[(None, GREEN), (0.01, ORANGE), (0.1, RED)],
        ),
        stat_panel(
            "Breakers not closed",
            f"sum({NOT_CLOSED})",
            unit=COUNT,
            description="Servers that the exporter does not poll for a while because they kept failing. If it is not "
            "0, follow docs/runbooks/RedisCircuitBreakerOpen.md.",
            steps=[(None, GREEN), (1, ORANGE)],
            trend=False,
        ),
        stat_panel(
            "Oldest sample",
            f"max({SAMPLE_AGE})",
            unit="s",
            description="Age of the oldest sample of any server. It normally stays below the poll interval (15 s). "
            "Above it, the panels show old values of memory, clients and keys: open Resilience and exporter.",
            steps=[(None, GREEN), (30, ORANGE), (MAX_AGE, RED)],
        ),
        width=4,
        height=4,
    )


def _availability(dashboard: Board) -> None:
    dashboard.row("Availability")
    dashboard.fill(
        states_panel(
            "Up or down",
            Query(UP, "{{target}}"),
            states=[State(1, "up", GREEN), State(0, "down", RED)],
            description="When each server answered its pings. Compare a red part with “Failures by reason” at the "
            "same time. refused: the process does not run. timeout: the server hangs. auth: the password was "
            "changed.",
        ),
        failures_panel(),
        width=12,
        height=8,
    )


def _worst(dashboard: Board) -> None:
    dashboard.row("The ten worst of the chosen servers")
    used, evicted = of("redis_memory_used_bytes"), "redis_evicted_keys_total"
    memory = worst("redis_memory_used_bytes")
    dashboard.fill(
        graph_panel(
            "Slowest servers (ping p99)",
            Query(top(PING_P99, quantile(0.99, DURATIONS, PING, window=WHOLE)), "{{target}}"),
            Query("vector($edge)", "objective"),
            unit="s",
            logarithmic=True,
            description="Which servers are slow. The dotted line is the chosen latency edge. One slow server: look "
            "at its slow log, big keys, forks and other processes on its host. All servers at once: the "
            "network, or the exporter itself (open Probe latency).",
        ),
        graph_panel(
            "Highest failure ratio",
            Query(top(FAILURE_RATIO, f"sum {BY_TARGET} ({failed(WHOLE)})"), "{{target}}"),
            unit="percentunit",
            limits=[(FAILURE_LIMIT, RED)],
            least_top=0.1,
            description="Failed pings as a share of all scheduled pings. Above the dashed line "
            "RedisProbeFailureRateHigh fires. One server above it has a problem of its own. All of them "
            "together: the network or the exporter.",
        ),
        graph_panel(
            "Memory used",
            Query(top(memory, f"max {BY_TARGET} (max_over_time({used}[$__range] @ end()))"), "{{target}}"),
            unit="bytes",
            description="Bytes allocated by the largest servers. A server that grows steadily without a maxmemory "
            "will take all memory of its host. Find what grows in its keyspace, then set TTLs or a limit.",
        ),
        graph_panel(
            "Keys evicted",
            Query(top(server_rate(evicted), f"max {BY_TARGET} ({increase(of(evicted), WHOLE)})"), "{{target}}"),
            unit="cps",
            least_top=1,
            description="Keys per second that were deleted because memory was full. This is right in a cache, and "
            "lost data in a store. Give the server more memory, or use shorter TTLs.",
        ),
        width=12,
        height=8,
    )
