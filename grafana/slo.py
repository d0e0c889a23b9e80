"""Dashboard SLO: the SLIs, the remaining error budget, how fast it burns, and what burned it."""

from grafana_foundation_sdk.builders import table

from grafana.common import Board
from grafana.panels import COUNT, Empty, Query, Steps, graph_panel, stat_panel
from grafana.promql import BY_TARGET, PING, WHOLE, increase, of, where_any
from grafana.slo_math import BURN_RATES, WINDOWS, Both, budget, burn, failed, fast, good, scheduled
from grafana.tables import GOOD, Column, table_panel
from grafana.variables import GREEN, ORANGE, RED, YELLOW

BURN_COLOURS = (RED, ORANGE, YELLOW, "blue")
BURN_STEPS: Steps = [(None, GREEN), *zip(reversed(BURN_RATES), reversed(BURN_COLOURS), strict=True)]
LEFT: Steps = [(None, RED), (0, ORANGE), (0.25, GREEN)]
LEFT_CELLS: Steps = [(None, RED), (0, ORANGE), (0.25, GOOD)]
BURN_CELLS: Steps = [(None, GOOD), *BURN_STEPS[1:]]
TIMED = "redis_operation_duration_seconds_count"
#: A timeout counts with its deadline as duration, so it is slow too. A ping that was not sent has no duration.
SLOW = f"clamp_min(sum {BY_TARGET} ({increase(of(TIMED, PING), WHOLE)}) - sum {BY_TARGET} ({fast(WHOLE)}), 0)"


def board() -> Board:
    """Return the dashboard: the two SLIs of the worst server, all servers, burn rates, then what burned the budget."""
    dashboard = Board(
        "redis-pulse-slo",
        "SLO",
        "Availability and latency of pings, compared with an objective: the budget left, how fast it burns, and what "
        "burned it. Choose the objective, the latency edge and the time above.",
        since="now-24h",
        slo=True,
    )
    _at_a_glance(dashboard)
    dashboard.row("Every server, over the chosen time")
    dashboard.fill(*_tables(), width=12, height=11)
    _burn(dashboard)
    _culprits(dashboard)
    return dashboard


def _at_a_glance(dashboard: Board) -> None:
    sli, left, now = good(WHOLE), budget(WHOLE), burn("1h")
    for name, words in (
        ("availability", "answered within their deadline"),
        ("latency", "answered within the latency edge"),
    ):
        dashboard.fill(
            stat_panel(
                f"Worst {name}",
                f"min({getattr(sli, name)})",
                unit="percentunit",
                decimals=3,
                description=f"Share of all pings due in the chosen time that were {words}, on the worst server. Below "
                "the objective find that server in the tables below, and the cause in “What burned it”.",
                steps=[(None, "text")],
                trend=False,
            ),
            stat_panel(
                f"{name.capitalize()} budget left",
                f"min({getattr(left, name)})",
                unit="percentunit",
                decimals=0,
                description=f"Rest of the {name} budget of the chosen time on the worst server. Choose 30 days to see "
                "the budget that the alerts protect. Below 0 the objective is missed: stop risky changes.",
                steps=LEFT,
                trend=False,
            ),
            stat_panel(
                f"{name.capitalize()} burn (1h)",
                f"max({getattr(now, name)})",
                unit="short",
                decimals=1,
                description="How many times faster than allowed the worst server used its budget in the last hour. "
                "Above 14.4 act at once, above 6 act today. 1 uses all of it in 30 days.",
                steps=BURN_STEPS,
                trend=False,
            ),
            width=4,
            height=4,
        )


def _tables() -> list[table.Panel]:
    sli, left, now = good(WHOLE), budget(WHOLE), burn("1h")
    total = "sum by (job, target) ({})".format
    bad = {
        "availability": (
            "Bad",
            total(failed(WHOLE)),
            "Bad pings failed, or were not sent because the breaker was open",
        ),
        "latency": (
            "Not in time",
            f"clamp_min({total(scheduled(WHOLE))} - {total(fast(WHOLE))}, 0)",
            "Not in time are pings that were answered after the latency edge, and failed pings",
        ),
    }
    return [
        table_panel(
            f"{name.capitalize()} by server",
            [
                Column("Scheduled", total(scheduled(WHOLE)), "locale", decimals=0),
                Column(heading, expr, "locale", decimals=0),
                Column("Good", getattr(sli, name), "percentunit", decimals=3),
                Column("Budget", getattr(left, name), "percentunit", LEFT_CELLS, decimals=0),
                Column("Burn (1h)", getattr(now, name), "short", BURN_CELLS, decimals=1),
            ],
            labels={"target": "Target"},
            sort=[("Budget", False)],
            description="One row for each server, over the chosen time. Scheduled pings are all pings that were due. "
            f"{words}. Budget is the rest of the error budget. If it is used up, stop risky changes of this "
            "server until it recovers.",
        )
        for name, (heading, expr, words) in bad.items()
    ]


def _burn(dashboard: Board) -> None:
    dashboard.row("How fast the budget burns: the worst of the chosen servers")
    by_window = {window: burn(window) for window in WINDOWS}
    for name in Both._fields:
        dashboard.add(
            graph_panel(
                f"Burn rate of {name}",
                *(Query(f"max({getattr(both, name)})", window) for window, both in by_window.items()),
                unit="short",
                limits=list(zip(reversed(BURN_RATES), reversed(BURN_COLOURS), strict=True)),
                least_top=16,
                description="How many times faster than allowed the budget is used, over five windows. An alert "
                "needs a long and a short window above its line. Pages: 14.4 for 1h and 5m, 6 for 6h and 30m. "
                "Tickets: 3 and 1 over days. Only the short windows are high: a short incident. Only the long "
                "windows are high: the incident is over, and the budget was used.",
            ),
            width=12,
            height=9,
        )
    for name in Both._fields:
        dashboard.add(
            graph_panel(
                f"Error ratio of {name} by target",
                Query(f"({getattr(burn('$__rate_interval'), name)}) * (1 - $objective)", "{{target}}"),
                Query("vector(1 - $objective)", "objective"),
                unit="percentunit",
                least_top=0.002,
                description="Share of bad pings at each moment. The dotted line is what the objective allows on "
                "average. A peak is an incident: choose its time and look at “What burned it”.",
            ),
            width=12,
            height=8,
        )


def _culprits(dashboard: Board) -> None:
    dashboard.row("What burned it")
    failures, labels = of("redis_operation_failures_total", PING), "job, target, reason"
    bad = where_any(f"sum by ({labels}) ({increase(failures)})", failures, labels)
    reasons = f"sum by (job, target, reason) ({failed(WHOLE)}) > 0"
    timed = increase(of(TIMED, PING))
    late = f"sum {BY_TARGET} ({timed}) - sum {BY_TARGET} ({fast('$__rate_interval')})"
    dashboard.fill(
        graph_panel(
            "Bad pings by target and reason",
            Query(bad, "{{target}}: {{reason}}"),
            unit=COUNT,
            stacked=True,
            description="Pings that used the availability budget. timeout, refused or reset: the server or its "
            "network. auth: the credentials. skipped: the exporter was late.",
            empty=Empty("no ping was bad", "nothing burned"),
        ),
        graph_panel(
            "Slow pings by target",
            Query(f"({late}) and on (job, target) ({SLOW} > 0.5)", "{{target}}"),
            unit=COUNT,
            stacked=True,
            description="Pings that were answered, or timed out, after the latency edge. They used the latency "
            "budget. Look at that server at that time in the dashboard Instance: commands, forks, CPU.",
            empty=Empty("no ping was slower than the latency edge", "nothing burned"),
        ),
        table_panel(
            "Bad pings in the chosen time",
            [Column("Bad", reasons, "locale", decimals=0)],
            labels={"target": "Target", "reason": "Reason"},
            sort=[("Bad", True)],
            description="The totals of the chosen time. Begin with the first row: work on it has the largest effect. "
            "Follow the runbook of this target's alert in docs/runbooks/. Empty when no ping was bad.",
            no_value="nothing burned",
        ),
        width=8,
        height=9,
    )
