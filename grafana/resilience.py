"""Resilience and exporter: whom we leave alone and why, how old our samples are, and how we are ourselves."""

from grafana import discovery, resilience_exporter
from grafana.common import Board
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
from grafana.shared import failures_panel
from grafana.variables import GREEN, ORANGE, RED, YELLOW

TRANSITIONS = "redis_circuit_breaker_transitions_total"
NOT_SENT = "redis_pings_not_sent_total"


def board() -> Board:
    """Build the dashboard, top-down: the exporter now, breakers, collectors, then its inside."""
    made = Board(
        "redis-pulse-resilience",
        "Resilience and exporter",
        "Which servers are left alone and why, how old the samples are, which collectors fail, and whether the "
        "exporter itself is well: scrapes, CPU, memory, configuration.",
    )
    resilience_exporter.at_a_glance(made)
    _breakers(made)
    _collectors(made)
    resilience_exporter.rows(made)
    discovery.rows(made)
    return made


def _breakers(made: Board) -> None:
    made.row("Circuit breakers")
    by_state = "job, target, to_state"
    made.fill(
        states_panel(
            "Circuit breaker",
            Query(BREAKER, "{{target}}"),
            states=[State(0, "closed", GREEN), State(1, "half-open", YELLOW), State(2, "open", RED)],
            description="open: the server kept failing and gets no polls, only pings; half-open: one poll tries it. "
            "Mend the server: the first ping that is answered closes the breaker. "
            "docs/runbooks/RedisCircuitBreakerOpen.md says how.",
        ),
        graph_panel(
            "Changes of state",
            Query(
                where_any(f"sum by ({by_state}) ({increase(of(TRANSITIONS))})", of(TRANSITIONS), by_state),
                "{{target}} {{to_state}}",
            ),
            unit=COUNT,
            stacked=True,
            description="One opening and one closing is an incident that passed. Again and again between half-open and "
            "open: the server is still down. Between closed and open: it flaps, look at its failures.",
            empty=Empty("no breaker changed", "no breaker changed"),
        ),
        graph_panel(
            "Time not closed",
            Query(f"sum {BY_TARGET} ({rate(of('redis_circuit_breaker_open_seconds_total'))})", "{{target}}"),
            unit="percentunit",
            least_top=1,
            description="Share of the time that the breaker was not closed; meanwhile what is shown of that server is "
            "old. At 100 % it has been left alone all along: see the reason in “Failures by reason”.",
        ),
        graph_panel(
            "Pings not sent",
            Query(_any(NOT_SENT), "{{target}}"),
            unit="cps",
            description="Pings per second that were due and not sent, since the server did not answer the ones before. "
            "Each counts as one failure, under the reason that opened the breaker. One ping per probe.trial_interval "
            "is always sent.",
            empty=Empty("every ping was sent", "all were sent"),
        ),
        failures_panel(),
        graph_panel(
            "Commands sent twice, replies too late",
            Query(_any("redis_operation_retries_total"), "{{target}} retries"),
            Query(_any("redis_late_replies_total"), "{{target}} late"),
            unit="cps",
            description="Reads that were tried again, and answers that came after the deadline: the server is alive "
            "and slow, or connections break. Lengthen probe.timeout only if this is normal for the path.",
            empty=Empty("nothing was tried again or came late", "none"),
        ),
        width=8,
        height=8,
    )


def _collectors(made: Board) -> None:
    made.row("Collectors: is what we show fresh and complete?")
    success = of("redis_collector_success")
    failed = f"(min {BY_TARGET} (min_over_time({success}[$__range] @ end())) == 0)"
    made.fill(
        states_panel(
            "Collectors",
            Query(f"min by (collector) ({success})", "{{collector}}"),
            states=[State(1, "works", GREEN), State(0, "fails", RED)],
            description="Red while a collector fails on at least one of the chosen targets. One alone is mostly a "
            "missing permission: grant the user what docs/acl.md says. All of them: a target is down, see beside it.",
        ),
        states_panel(
            "Targets on which a collector failed",
            Query(f"min by (job) ({success})", "all together"),
            Query(f"min {BY_TARGET} ({success}) and on (job, target) {failed}", "{{target}}"),
            states=[State(1, "works", GREEN), State(0, "fails", RED)],
            description="Those of the chosen targets on which anything failed in the chosen time; the first line is "
            "all together. Choose one of them above to see beside it which collector it is.",
        ),
        width=12,
        height=10,
    )
    each, took = "job, target, collector", of("redis_collector_duration_seconds")
    made.fill(
        graph_panel(
            "Sample age",
            Query(OLDEST_SAMPLE, "{{target}}"),
            unit="s",
            limits=[(45, RED)],
            description="Anything up to the poll interval (15 s) is right. Beyond the dashed line (poll.max_age, 45 s) "
            "samples are no longer shown: see beside it for the part that fails.",
        ),
        graph_panel(
            "Slowest collectors",
            Query(
                top(f"max by ({each}) ({took})", f"max by ({each}) (avg_over_time({took}[$__range] @ end()))", each),
                "{{target}} {{collector}}",
            ),
            unit="s",
            logarithmic=True,
            description="How long the newest run took, of the ten slowest. One that nears poll.timeout (5 s) will fail "
            "soon: poll it less often, or switch it off for that target.",
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
            description="Mean time that all collectors of a target take together. If it nears poll.interval, polls "
            "overrun and are missed: lengthen the interval, or switch collectors off.",
        ),
        width=8,
        height=8,
    )
    made.fill(
        graph_panel(
            "Unreadable and overflowed values",
            Query(_any("redis_exporter_unreadable_fields_total"), "{{target}} unreadable"),
            Query(_any("redis_exporter_overflowed_values_total"), "{{target}} overflow"),
            unit="cps",
            description="Fields that made no sense (tell us: a server version that we do not know), and label values "
            "beyond a cap that were put together as overflow: narrow the patterns of that collector.",
            empty=Empty("every field was read and no cap was reached", "none"),
        ),
        states_panel(
            "Collectors that the server does not support",
            Query(
                f"min by (job, target, collector) ({of('redis_collector_supported')}) == 0", "{{target}} {{collector}}"
            ),
            states=[State(0, "lacking or denied", ORANGE)],
            description="The server lacks what the collector reads, or denies it to our user. Right for an old version "
            "or a managed service; if you expect it, grant what docs/acl.md says.",
            empty=Empty("every collector is supported", "all supported"),
        ),
        width=12,
        height=6,
    )


def _any(metric: str, more: str = "") -> str:
    """Rate by target, of those only where it grew at all in the chosen time."""
    return where_any(f"sum {BY_TARGET} ({rate(of(metric, more))})", of(metric, more), "job, target")
