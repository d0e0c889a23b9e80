"""Instance: everything about one server, or a few beside each other; choose it as the target."""

from grafana import instance_load, instance_safety, instance_state, instance_topology
from grafana.common import Board
from grafana.panels import Query, State, graph_panel, states_panel
from grafana.promql import (
    BREAKER,
    DURATION_BUCKETS,
    LONGEST_PING,
    PING,
    PING_P99,
    SAMPLE_AGE,
    UP,
    identity,
    quantile,
    worst,
)
from grafana.shared import failures_panel
from grafana.tables import ROLES, WELL, Column, table_panel
from grafana.variables import GREEN, ORANGE, RED, YELLOW


def board() -> Board:
    """Build the dashboard, top-down: is it well, what does it do, what does it hold, who stands behind it."""
    made = Board(
        "redis-pulse-instance",
        "Instance",
        "One server in full: health, commands, memory, clients, keys, replication, persistence, network, and its part "
        "in a cluster or of Sentinel. Choose it as the target; with several chosen they stand beside each other.",
        slo=True,
    )
    _health(made)
    instance_load.rows(made)
    instance_state.rows(made)
    instance_safety.rows(made)
    instance_topology.rows(made)
    return made


def _health(made: Board) -> None:
    made.add(
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
                Column("Ping p50", quantile(0.5, DURATION_BUCKETS, PING), "s"),
                Column("Ping p99", PING_P99, "s", [(None, WELL), (0.01, ORANGE), (0.1, RED)]),
                Column("Breaker", BREAKER, texts={0: ("closed", WELL), 1: ("half-open", YELLOW), 2: ("open", RED)}),
                Column("Sample age", SAMPLE_AGE, "s", [(None, WELL), (30, ORANGE), (45, RED)], decimals=0),
            ],
            labels={"target": "Target"},
            sort=[("Target", False)],
            description="What each chosen server is and how it is now. Running for less than you expect: it "
            "restarted, see its log. Samples older than the poll interval: what is below shows the past.",
        ),
        width=24,
        height=5,
    )
    made.row("Health")
    made.fill(
        states_panel(
            "Up or down",
            Query(UP, "{{target}}"),
            states=[State(1, "up", GREEN), State(0, "down", RED)],
            description="When the server answered its pings. For a red stretch see “Failures by reason” "
            "at the same time: refused is a dead process, timeout a hung one, auth a changed password.",
        ),
        failures_panel(),
        graph_panel(
            "Ping",
            Query(PING_P99, "{{target}} p99"),
            Query(quantile(0.5, DURATION_BUCKETS, PING), "{{target}} p50"),
            Query(LONGEST_PING, "{{target}} max"),
            Query("vector($edge)", "objective"),
            unit="s",
            logarithmic=True,
            description="How long a client waited. p50 high: everything is slow, look at CPU and network. Only the "
            "maximum: single stalls, look at slow commands, forks and swap. More in the dashboard Probe latency.",
        ),
        width=8,
        height=7,
    )
