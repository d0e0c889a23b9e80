"""Panels about stalls: how often clients waited, for how long, and why."""

from grafana_foundation_sdk.builders import table, timeseries

from grafana.common import Board
from grafana.panels import Empty, Query, graph_panel
from grafana.promql import increase, of, where_any
from grafana.tables import Column, table_panel

_LABELS = "job, target, cause"
_COUNT, _SECONDS = "redis_stalls_total", "redis_stall_seconds_total"


def row(dashboard: Board, *, table_width: int = 13) -> None:
    """Add the row of stalls: the table, and the seconds by cause."""
    dashboard.row("Stalls: why clients waited")
    dashboard.add(stalls_table(), width=table_width, height=8)
    dashboard.add(seconds_panel(), width=24 - table_width, height=8)


def stalls_table() -> table.Panel:
    """Return the table of stalls in the chosen time: one row for each server and cause."""

    def grown(metric: str) -> str:
        return f"max by ({_LABELS}) (increase({of(metric)}[$__range]))"

    count = f"round({grown(_COUNT)})"

    def newest(metric: str) -> str:
        return f"max by ({_LABELS}) ({of(metric)}) and on ({_LABELS}) {count} > 0"

    return table_panel(
        "Stalls in the chosen time",
        [
            Column("Count", f"{count} > 0", decimals=0),
            Column("Waited", f"{grown(_SECONDS)} and on ({_LABELS}) {count} > 0", "s"),
            Column("Last one", newest("redis_stall_last_seconds"), "s"),
            Column("Last time", f"1000 * ({newest('redis_stall_last_timestamp_seconds')})", "dateTimeAsIso", width=170),
        ],
        labels={"target": "Target", "cause": "Cause"},
        sort=[("Waited", True)],
        description="How often each server kept clients waiting, for how long in all, and why. “Last one” is how long "
        "the newest stall took. The section of the cause in docs/stalls.md says how to be sure and what to do. GET "
        "/stalls of the exporter shows each single stall with its evidence. A counter shows its first stall after "
        "15 s. Empty when no stall was recorded.",
        no_value="no stall was recorded",
    )


def seconds_panel(title: str = "Stall seconds by cause") -> timeseries.Panel:
    """Return the graph of the seconds in stalls, by cause."""
    by_server = f"max by ({_LABELS}) ({increase(of(_SECONDS))})"
    return graph_panel(
        title,
        Query(where_any(f"sum by (cause) ({by_server})", of(_SECONDS), "cause"), "{{cause}}"),
        unit="s",
        stacked=True,
        description="Seconds that clients waited in stalls, by cause, of all chosen servers. A stall is drawn when it "
        "has ended. One cause dominates: read its section in docs/stalls.md. not_running in Kubernetes: compare "
        "it with container_cpu_cfs_throttled_periods_total. unknown: the record in /stalls says which evidence is "
        "missing.",
        empty=Empty("no stall was recorded", "no stall was recorded"),
    )
