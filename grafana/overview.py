"""Fleet overview: is every server up and meeting its objective, which one is bad, can the measurement be trusted."""

from grafana import servers, topology
from grafana.common import Board
from grafana.panels import COUNT, Query, State, graph_panel, stat_panel, states_panel
from grafana.promql import (
    BY_TARGET,
    DURATION_BUCKETS,
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
from grafana.shared import failures_panel
from grafana.slo_math import burn, failed, worst_of_both
from grafana.variables import GREEN, ORANGE, RED, YELLOW

#: The same threshold as the alert RedisProbeFailureRateHigh.
FAILURE_LIMIT = 0.05
#: The default of ``poll.max_age``.
MAX_AGE = 45


def board() -> Board:
    """Build the dashboard, top-down: up or down, the objective, the table of servers, then the worst of them."""
    made = Board(
        "redis-pulse-overview",
        "Fleet overview",
        "Is every Redis and Valkey server up and in time, which one is bad, and can the measurement be trusted.",
        slo=True,
    )
    _at_a_glance(made)
    made.row("Servers")
    made.add(servers.panel(), width=24, height=11)
    _availability(made)
    _worst(made)
    topology.rows(made)
    return made


def _at_a_glance(made: Board) -> None:
    made.fill(
        stat_panel(
            "Targets up",
            f"sum({UP})",
            unit=COUNT,
            description="Servers whose newest ping was answered within its deadline. No data: no exporter is being "
            "scraped; look at the targets page of Prometheus.",
            steps=[(None, GREEN)],
            trend=False,
        ),
        stat_panel(
            "Targets down",
            f"count({UP}) - sum({UP})",
            unit=COUNT,
            description="Servers whose newest ping failed. When it is not 0, find them in “All servers” and their "
            "reason in “Failures by reason”, then follow docs/runbooks/RedisTargetDown.md.",
            steps=[(None, GREEN), (1, RED)],
            trend=False,
        ),
        stat_panel(
            "Worst burn rate",
            f"max({worst_of_both(burn('1h'))})",
            unit="short",
            decimals=1,
            description="How many times faster than allowed the worst server used up its error budget in the last "
            "hour, for failed or for slow pings. 1 uses all of it in 30 days; 14.4 in two days: open the dashboard "
            "SLO and act now.",
            steps=[(None, GREEN), (1, YELLOW), (6, ORANGE), (14.4, RED)],
        ),
        stat_panel(
            "Worst ping p99",
            f"max({PING_P99})",
            unit="s",
            description="99th percentile of a ping on the slowest server, as a client would have waited. Above 10 ms "
            "look at “Slowest servers”, then at slow commands and the CPU of that server.",
            steps=[(None, GREEN), (0.01, ORANGE), (0.1, RED)],
        ),
        stat_panel(
            "Breakers not closed",
            f"sum({NOT_CLOSED})",
            unit=COUNT,
            description="Servers that are left alone for a while because they kept failing. When it is not 0 follow "
            "docs/runbooks/RedisCircuitBreakerOpen.md.",
            steps=[(None, GREEN), (1, ORANGE)],
            trend=False,
        ),
        stat_panel(
            "Oldest sample",
            f"max({SAMPLE_AGE})",
            unit="s",
            description="Age of the oldest thing that a server last said. It normally stays below the poll interval "
            "(15 s); above it, what is shown of memory, clients and keys is the past: open Resilience and exporter.",
            steps=[(None, GREEN), (30, ORANGE), (MAX_AGE, RED)],
        ),
        width=4,
        height=4,
    )


def _availability(made: Board) -> None:
    made.row("Availability")
    made.fill(
        states_panel(
            "Up or down",
            Query(UP, "{{target}}"),
            states=[State(1, "up", GREEN), State(0, "down", RED)],
            description="When each server answered its pings. Compare a red stretch with “Failures by "
            "reason” at the same time: refused is a dead process, timeout a hung one, auth a changed password.",
        ),
        failures_panel(),
        width=12,
        height=8,
    )


def _worst(made: Board) -> None:
    made.row("The ten worst of the chosen servers")
    used, evicted = of("redis_memory_used_bytes"), "redis_evicted_keys_total"
    memory = worst("redis_memory_used_bytes")
    made.fill(
        graph_panel(
            "Slowest servers (ping p99)",
            Query(top(PING_P99, quantile(0.99, DURATION_BUCKETS, PING, window=WHOLE)), "{{target}}"),
            Query("vector($edge)", "objective"),
            unit="s",
            logarithmic=True,
            description="Who is slow. The dotted line is the chosen latency edge. One slow server: its slow log, big "
            "keys, forks, neighbours. All at once: the network, or the exporter itself (open Probe latency).",
        ),
        graph_panel(
            "Highest failure ratio",
            Query(top(FAILURE_RATIO, f"sum {BY_TARGET} ({failed(WHOLE)})"), "{{target}}"),
            unit="percentunit",
            limits=[(FAILURE_LIMIT, RED)],
            least_top=0.1,
            description="Failed of all scheduled ping slots. The dashed line is where RedisProbeFailureRateHigh "
            "begins; one server above it is that server's trouble, all of them together are the network's or ours.",
        ),
        graph_panel(
            "Memory used",
            Query(top(memory, f"max {BY_TARGET} (max_over_time({used}[$__range] @ end()))"), "{{target}}"),
            unit="bytes",
            description="Bytes allocated by the largest servers. One that grows steadily without a maxmemory will "
            "take all memory of its host: find what grows in its keyspace, set TTLs or a limit.",
        ),
        graph_panel(
            "Keys evicted",
            Query(top(server_rate(evicted), f"max {BY_TARGET} ({increase(of(evicted), WHOLE)})"), "{{target}}"),
            unit="cps",
            least_top=1,
            description="Keys per second that were thrown away for want of memory: right in a cache, lost data in a "
            "store. Give the server memory or shorter TTLs.",
        ),
        width=12,
        height=8,
    )
