"""Dashboard Instance: everything about one server, or a few servers together; choose them as targets."""

from grafana import instance_load, instance_safety, instance_state, instance_topology, stalls
from grafana.common import Board, failures_panel
from grafana.panels import Query, State, graph_panel, states_panel
from grafana.promql import (
    BREAKER,
    DURATIONS,
    LONGEST_PING,
    PING,
    PING_P99,
    SAMPLE_AGE,
    UP,
    identity,
    quantile,
    worst,
)
from grafana.tables import GOOD, ROLES, Column, table_panel
from grafana.variables import GREEN, ORANGE, RED, YELLOW


def board() -> Board:
    """Return the dashboard: health, stalls, load, data, replication and persistence, then cluster and Sentinel."""
    dashboard = Board(
        "redis-pulse-instance",
        "Instance",
        "One server in detail: health, stalls, commands, memory, clients, keys, replication, persistence, network, and "
        "its role in a cluster or in Sentinel. Choose it as the target. You can also choose several servers.",
        slo=True,
        histograms=True,
    )
    _health(dashboard)
    stalls.row(dashboard)
    instance_load.rows(dashboard)
    instance_state.rows(dashboard)
    instance_safety.rows(dashboard)
    instance_topology.rows(dashboard)
    return dashboard


def _health(dashboard: Board) -> None:
    dashboard.add(
        table_panel(
            "What it is",
            [
                Column("Up", UP, texts={1: ("up", GREEN), 0: ("DOWN", RED)}),
                Column("Identity", identity("role", "redis_mode", "maxmemory_policy"), hidden=True),
                Column("Role", texts=ROLES, quiet=True),
                Column("Server"),
                Column("Version"),
                Column("Mode", label="redis_mode"),
                Column("Policy", label="maxmemory_policy"),
                Column("Running for", worst("redis_uptime_in_seconds"), "dtdurations", decimals=0),
                Column("Ping p50", quantile(0.5, DURATIONS, PING), "s"),
                Column("Ping p99", PING_P99, "s", [(None, GOOD), (0.01, ORANGE), (0.1, RED)]),
                Column("Breaker", BREAKER, texts={0: ("closed", GOOD), 1: ("half-open", YELLOW), 2: ("open", RED)}),
                Column("Sample age", SAMPLE_AGE, "s", [(None, GOOD), (30, ORANGE), (45, RED)], decimals=0),
            ],
            labels={"target": "Target"},
            sort=[("Target", False)],
            description="What each chosen server is, and its current state. “Running for” less than you expect: the "
            "server restarted, look at its log. “Sample age” above the poll interval: the panels below show old "
            "values.",
        ),
        width=24,
        height=5,
    )
    dashboard.row("Health")
    dashboard.fill(
        states_panel(
            "Up or down",
            Query(UP, "{{target}}"),
            states=[State(1, "up", GREEN), State(0, "down", RED)],
            description="When the server answered its pings. For a red part look at “Failures by reason” at the same "
            "time. refused: the process does not run. timeout: the server hangs. auth: the password was changed.",
        ),
        failures_panel(),
        graph_panel(
            "Ping",
            Query(PING_P99, "{{target}} p99"),
            Query(quantile(0.5, DURATIONS, PING), "{{target}} p50"),
            Query(LONGEST_PING, "{{target}} max"),
            Query("vector($edge)", "objective"),
            unit="s",
            logarithmic=True,
            description="How long a client waited. p50 is high: everything is slow, look at CPU and network. Only "
            "the maximum is high: single stalls, look at slow commands, forks and swap. The dashboard Probe "
            "latency shows more.",
        ),
        width=8,
        height=7,
    )
