"""The table of the dashboard Fleet overview: one row for each server, the worst first."""

from grafana_foundation_sdk.builders import table

from grafana.panels import Steps
from grafana.promql import (
    BREAKER,
    CLIENTS_RATIO,
    DURATIONS,
    HIT_RATIO,
    PING,
    UP,
    identity,
    increase,
    of,
    quantile,
    ratio,
    worst,
)
from grafana.tables import GOOD, ROLES, Column, table_panel
from grafana.variables import BLUE, GREEN, ORANGE, RED, YELLOW

NO_LIMIT = {-1: ("no maxmemory", BLUE)}


def panel() -> table.Panel:
    """Return the table of all chosen servers."""
    pings = {"more": PING, "window": "$__range"}
    failures = ratio(
        increase(of("redis_operation_failures_total", PING), "$__range"),
        increase(of("redis_operations_total", PING), "$__range"),
    )
    slow: Steps = [(None, GOOD), (0.01, ORANGE), (0.1, RED)]
    late: Steps = [(None, "text"), *slow[1:]]
    full: Steps = [(None, "text"), (0.85, ORANGE), (0.95, RED)]
    limit = worst("redis_memory_max_bytes")
    memory = f"{worst('redis_memory_used_bytes')} / ({limit} > 0) or 0 * ({limit} == 0) - 1"
    longest = f"max by (job, target) (max_over_time({of('redis_operation_duration_max_seconds', PING)}[$__range]))"
    columns = (
        Column("Up", UP, texts={1: ("up", GREEN), 0: ("DOWN", RED)}),
        Column("Role", texts=ROLES, quiet=True),
        Column("Server"),
        Column("Version"),
        Column("Failed", failures, "percentunit", [(None, GOOD), (0.001, YELLOW), (0.05, RED)], decimals=2),
        Column("p50", quantile(0.5, DURATIONS, **pings), "s", late, quiet=True),
        Column("p99", quantile(0.99, DURATIONS, **pings), "s", slow),
        Column("Max", longest, "s", late, quiet=True),
        Column("Memory", memory, "percentunit", full, NO_LIMIT, quiet=True, decimals=0, width=125),
        Column("Hits", HIT_RATIO, "percentunit", [(None, ORANGE), (0.5, "text")], quiet=True, decimals=0),
        Column("Clients", CLIENTS_RATIO, "percentunit", full, quiet=True, decimals=1),
        Column("Breaker", BREAKER, texts={0: ("closed", GOOD), 1: ("half-open", YELLOW), 2: ("open", RED)}),
    )
    return table_panel(
        "All servers",
        [*columns[:1], Column("Identity", identity("role"), hidden=True), *columns[1:]],
        labels={"target": "Target"},
        sort=[("Up", False), ("Failed", True)],
        description="One row for each server. Failures, p50, p99 and the longest ping are of the chosen time. All "
        "other columns show the current state. Click on a target to open it. A dash: the server does not report "
        "the value, or it is down. “no maxmemory”: the server can take all memory of its host, so set a limit.",
    )
