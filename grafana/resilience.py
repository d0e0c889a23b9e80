"""Dashboard Resilience and exporter: circuit breakers, the age of samples, and the exporter itself."""

from grafana import discovery, resilience_exporter
from grafana.common import Board, failures_panel
from grafana.panels import COUNT, Empty, Query, State, graph_panel, states_panel
from grafana.promql import (
    BREAKER,
    BY_TARGET,
    OLDEST_SAMPLE,
    increase,
    of,
    rate,
    top,
    where_any,
)
from grafana.variables import GREEN, ORANGE, RED, YELLOW

TRANSITIONS = "redis_circuit_breaker_transitions_total"
NOT_SENT = "redis_pings_not_sent_total"


def board() -> Board:
    """Return the dashboard: the exporter's current state, breakers, collectors, then the exporter in detail."""
    dashboard = Board(
        "redis-pulse-resilience",
        "Resilience and exporter",
        "Which servers are not polled and why, how old the samples are, and which collectors fail. Whether the "
        "exporter itself is healthy: scrapes, CPU, memory, configuration.",
    )
    resilience_exporter.at_a_glance(dashboard)
    _breakers(dashboard)
    _collectors(dashboard)
    resilience_exporter.rows(dashboard)
    discovery.rows(dashboard)
    return dashboard


def _breakers(dashboard: Board) -> None:
    dashboard.row("Circuit breakers")
    by_state = "job, target, to_state"
    dashboard.fill(
        states_panel(
            "Circuit breaker",
            Query(BREAKER, "{{target}}"),
            states=[State(0, "closed", GREEN), State(1, "half-open", YELLOW), State(2, "open", RED)],
            description="open: the server kept failing, so it gets only pings and no polls. half-open: one poll "
            "tests it. Fix the server: the first ping with a reply closes the breaker. "
            "docs/runbooks/RedisCircuitBreakerOpen.md describes how.",
        ),
        graph_panel(
            "Changes of state",
            Query(
                where_any(f"sum by ({by_state}) ({increase(of(TRANSITIONS))})", of(TRANSITIONS), by_state),
                "{{target}} {{to_state}}",
            ),
            unit=COUNT,
            stacked=True,
            description="One opening and one closing: an incident that is over. Repeated changes between half-open "
            "and open: the server is still down. Repeated changes between closed and open: the server is "
            "unstable, look at its failures.",
            empty=Empty("no breaker changed", "no breaker changed"),
        ),
        graph_panel(
            "Time not closed",
            Query(f"sum {BY_TARGET} ({rate(of('redis_circuit_breaker_open_seconds_total'))})", "{{target}}"),
            unit="percentunit",
            least_top=1,
            description="Share of the time during which the breaker was not closed. In that time the panels show old "
            "values of this server. At 100 % the server was never polled: look at the reason in “Failures by "
            "reason”.",
        ),
        graph_panel(
            "Pings not sent",
            Query(_any(NOT_SENT), "{{target}}"),
            unit="cps",
            description="Pings per second that were due and not sent, because the server did not answer the pings "
            "before. Each counts as one failure, with the reason that opened the breaker. One ping per "
            "probe.trial_interval is always sent.",
            empty=Empty("every ping was sent", "all were sent"),
        ),
        failures_panel(),
        graph_panel(
            "Commands sent twice, replies too late",
            Query(_any("redis_operation_retries_total"), "{{target}} retries"),
            Query(_any("redis_late_replies_total"), "{{target}} late"),
            unit="cps",
            description="Reads that were sent again, and replies that arrived after the deadline: the server is "
            "running but slow, or connections break. Raise probe.timeout only if this is normal for the network "
            "path.",
            empty=Empty("no read was sent again and no reply was late", "none"),
        ),
        width=8,
        height=8,
    )


def _collectors(dashboard: Board) -> None:
    dashboard.row("Collectors: are the samples fresh and complete?")
    success = of("redis_collector_success")
    failed = f"(min {BY_TARGET} (min_over_time({success}[$__range] @ end())) == 0)"
    dashboard.fill(
        states_panel(
            "Collectors",
            Query(f"min by (collector) ({success})", "{{collector}}"),
            states=[State(1, "works", GREEN), State(0, "fails", RED)],
            description="Red while a collector fails on at least one of the chosen targets. One collector: often a "
            "missing permission, grant the user what docs/acl.md lists. All collectors: a target is down, look "
            "at “Targets on which a collector failed”.",
        ),
        states_panel(
            "Targets on which a collector failed",
            Query(f"min by (job) ({success})", "all together"),
            Query(f"min {BY_TARGET} ({success}) and on (job, target) {failed}", "{{target}}"),
            states=[State(1, "works", GREEN), State(0, "fails", RED)],
            description="The chosen targets on which any collector failed in the chosen time. The first line is all "
            "targets together. Choose one of them above, then “Collectors” shows which collector failed.",
        ),
        width=12,
        height=10,
    )
    labels, duration = "job, target, collector", of("redis_collector_duration_seconds")
    dashboard.fill(
        graph_panel(
            "Sample age",
            Query(OLDEST_SAMPLE, "{{target}}"),
            unit="s",
            limits=[(45, RED)],
            description="Values up to the poll interval (15 s) are normal. Above the dashed line (poll.max_age, 45 "
            "s) samples are no longer published: look at “Collectors” for the part that fails.",
        ),
        graph_panel(
            "Slowest collectors",
            Query(
                top(
                    f"max by ({labels}) ({duration})",
                    f"max by ({labels}) (avg_over_time({duration}[$__range] @ end()))",
                    labels,
                ),
                "{{target}} {{collector}}",
            ),
            unit="s",
            logarithmic=True,
            description="Duration of the newest run, for the ten slowest collectors. A collector near poll.timeout "
            "(5 s) will soon fail: poll it less often, or switch it off for that target.",
        ),
        graph_panel(
            "Time of a poll",
            Query(
                f"sum {BY_TARGET} ({rate(of('redis_exporter_scrape_duration_seconds_sum'))}) / "
                f"(sum {BY_TARGET} ({rate(of('redis_exporter_scrapes_total'))}) > 0)",
                "{{target}}",
            ),
            unit="s",
            logarithmic=True,
            description="Mean time that all collectors of a target need together. Near poll.interval, polls overrun "
            "and are missed: use a longer interval, or switch collectors off.",
        ),
        width=8,
        height=8,
    )
    dashboard.fill(
        graph_panel(
            "Unreadable and overflowed values",
            Query(_any("redis_exporter_unreadable_fields_total"), "{{target}} unreadable"),
            Query(_any("redis_exporter_overflowed_values_total"), "{{target}} overflow"),
            unit="cps",
            description="Unreadable: fields with a value that the exporter cannot read. Please report them, because "
            "they come from an unknown server version. Overflow: label values above a limit, which are combined "
            "into one value. Narrow the patterns of this collector.",
            empty=Empty("every field was read and no limit was reached", "none"),
        ),
        states_panel(
            "Collectors that the server does not support or denies",
            Query(
                f"min by (job, target, collector) ({of('redis_collector_supported')}) == 0", "{{target}} {{collector}}"
            ),
            Query(f"max by (job, target, collector) ({of('redis_collector_denied')}) == 1", "{{target}} {{collector}}"),
            states=[State(0, "not supported", ORANGE), State(1, "denied", RED)],
            description="Not supported: the server does not have what the collector reads. This is normal for an old "
            "version or a managed service. Denied: the exporter's user may not run a command. Grant what "
            "docs/acl.md lists.",
            empty=Empty("every collector is supported and permitted", "all supported"),
        ),
        width=12,
        height=6,
    )


def _any(metric: str, more: str = "") -> str:
    """Return the rate by target, without targets where the counter did not grow in the chosen time."""
    return where_any(f"sum {BY_TARGET} ({rate(of(metric, more))})", of(metric, more), "job, target")
