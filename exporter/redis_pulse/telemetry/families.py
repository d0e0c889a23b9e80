"""The families of metrics that the exporter itself counts and times for every target.

This module is the only one that spells their names.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, eq=False)
class MetricFamily:
    """One family of the exporter's own metrics, as the page and the documentation show it.

    Two families are equal only if they are the same object. So a dict of families needs no hash of their texts.
    """

    name: str
    kind: Literal["gauge", "counter", "histogram", "summary"]
    labels: tuple[str, ...]
    help: str


def _gauge(name: str, text: str, *labels: str) -> MetricFamily:
    return MetricFamily(name, "gauge", ("target", *labels), text)


def _counter(name: str, text: str, *labels: str) -> MetricFamily:
    return MetricFamily(name, "counter", ("target", *labels), text)


UP = _gauge("redis_up", "1 while the newest ping that ended was answered in time and without an error.")
OPERATIONS = _counter(
    "redis_operations_total", "Scheduled runs of an operation; every run counts exactly once.", "operation"
)
FAILURES = _counter(
    "redis_operation_failures_total",
    "Scheduled runs that did not succeed. Only for ping each reason has a series before its first failure.",
    "operation",
    "reason",
)
NOT_SENT = _counter(
    "redis_pings_not_sent_total",
    "Pings that were due and not sent because the target did not answer; each also counts as one failure.",
)
DURATION = MetricFamily(
    "redis_operation_duration_seconds",
    "histogram",
    ("target", "operation"),
    "Time that a client would have waited; a timeout is observed at its deadline.",
)
LONGEST = _gauge(
    "redis_operation_duration_max_seconds",
    "Longest duration in the current poll interval and the one before; a timeout counts as its deadline.",
    "operation",
)
IN_FLIGHT = _gauge("redis_operations_in_flight", "Scheduled runs that have no outcome yet.", "operation")
PHASE = MetricFamily(
    "redis_connect_phase_duration_seconds",
    "histogram",
    ("target", "phase"),
    "Duration of the phases of connecting for a probe; an interrupted phase counts with the time it took.",
)
PROBE_CLOCK = _counter(
    "redis_probe_clock_total",
    "Replies to PINGs by the clock that timed them: kernel (its timestamp), or user (the exporter's own clock).",
    "clock",
)
TCP_RTT = _gauge(
    "redis_connection_tcp_rtt_seconds",
    "Smoothed round trip of the ping connection, by the kernel. Up to 40 ms of it may be the server's time.",
)
TCP_MIN_RTT = _gauge(
    "redis_connection_tcp_min_rtt_seconds",
    "Lowest round trip of the ping connection in about 5 minutes, by the kernel: the network's share.",
)
TCP_RETRANSMITS = _counter(
    "redis_connection_tcp_retransmits_total", "TCP segments that the kernel sent again on ping connections."
)
CERTIFICATE = _gauge(
    "redis_tls_certificate_expiry_timestamp_seconds", "When the certificate that the server presented expires."
)
TOKEN_EXPIRY = _gauge("redis_credentials_expiry_timestamp_seconds", "When the login that the target uses expires.")
TOKEN_FAILURES = _counter(
    "redis_credentials_refresh_failures_total",
    "Renewals of the login of the target that failed; targets with the same source count the same renewals.",
    "reason",
)
RETRIES = _counter(
    "redis_operation_retries_total",
    "Reads that were sent a second time within one run; no series before the first.",
    "operation",
)
LATE_REPLIES = _counter("redis_late_replies_total", "Replies that came after their ping had timed out.")
LATE_SECONDS = _gauge(
    "redis_last_late_reply_seconds", "Round trip of the newest reply that came too late; no series before the first."
)
BREAKER_STATE = _gauge("redis_circuit_breaker_state", "1 for the current state of the circuit breaker.", "state")
BREAKER_TRANSITIONS = _counter(
    "redis_circuit_breaker_transitions_total", "Changes of state of the circuit breaker.", "from_state", "to_state"
)
BREAKER_OPEN = _counter("redis_circuit_breaker_open_seconds_total", "Seconds the circuit breaker spent not closed.")
BREAKER_NEXT = _gauge(
    "redis_circuit_breaker_next_attempt_seconds",
    "Time until the circuit breaker allows a poll; no series unless it is open. A trial ping may close it earlier.",
)
REPLICATION_DELAY = _gauge(
    "redis_replication_delay_seconds",
    "Age of the oldest write of the canary that the replica lacks; 0 if it has the newest.",
    "replica",
)
STALLS = _counter("redis_stalls_total", "Stalls that ended, by their cause.", "cause")
STALL_SECONDS = _counter(
    "redis_stall_seconds_total", "Longest waits of the stalls that ended, by their cause.", "cause"
)
STALL_LAST_TIME = _gauge("redis_stall_last_timestamp_seconds", "When the newest stall of a cause began.", "cause")
STALL_LAST_SECONDS = _gauge("redis_stall_last_seconds", "Longest wait in the newest stall of a cause.", "cause")
LATER_STALLS = _counter(
    "redis_stalls_later_total",
    "Stalls between two pings, which the slow log or the latency monitor showed later, by their cause.",
    "cause",
)
LATER_STALL_SECONDS = _counter(
    "redis_stall_later_seconds_total", "Durations of the stalls that only a log showed, by their cause.", "cause"
)
STALL_IN_PROGRESS = _gauge("redis_stall_in_progress", "1 while a ping waits for longer than stalls.threshold.")
STALL_EVIDENCE = _gauge(
    "redis_stall_evidence_available",
    "1 if the newest enquiry of a stall had this source of evidence, 0 if it was denied or missing.",
    "source",
)
SUCCESS = _gauge("redis_collector_success", "1 if the newest run of a collector worked.", "collector")
SUPPORTED = _gauge(
    "redis_collector_supported",
    "0 if the server lacks what a collector reads; no series before the first time.",
    "collector",
)
DENIED = _gauge(
    "redis_collector_denied",
    "1 if the user may not run a command that a collector sends (NOPERM); no series before the first time.",
    "collector",
)
COLLECTOR_SECONDS = _gauge(
    "redis_collector_duration_seconds", "Duration of the newest run: of its replies, and of its own work.", "collector"
)
SAMPLE_AGE = _gauge("redis_sample_age_seconds", "Age of the newest samples of a collector, served or not.", "collector")
SAMPLE_TIMESTAMP = _gauge(
    "redis_sample_timestamp_seconds", "Unix time of the newest samples of a collector, served or not.", "collector"
)
UNREADABLE = _counter(
    "redis_exporter_unreadable_fields_total",
    "Parts of replies that could not be read; no series before the first.",
    "collector",
)
OVERFLOW = _counter(
    "redis_exporter_overflowed_values_total",
    "Label values combined as overflow because a limit was reached; no series before the first.",
    "collector",
)
SCRAPES = _counter("redis_exporter_scrapes_total", "Polls of a target that ended, with or without success.")
SCRAPE_SECONDS = MetricFamily(
    "redis_exporter_scrape_duration_seconds", "summary", ("target",), "Duration of the polls of a target."
)
LAST_SCRAPE_SECONDS = _gauge("redis_exporter_last_scrape_duration_seconds", "Duration of the newest poll.")
LAST_CONNECT_SECONDS = _gauge(
    "redis_exporter_last_scrape_connect_time_seconds",
    "Duration of the newest attempt to connect that succeeded, or the deadline if it timed out.",
)
LAST_PING_SECONDS = _gauge(
    "redis_exporter_last_scrape_ping_time_seconds",
    "Round trip of the newest PING that was answered, or the deadline if it timed out.",
)
LAST_ERROR = _gauge(
    "redis_exporter_last_scrape_error",
    "1 with the reason if a part of the newest poll failed; 0 with an empty reason otherwise.",
    "err",
)
SLO_OBJECTIVE = _gauge(
    "redis_slo_objective_ratio", "Share of the pings of a target that must succeed: its setting slo.objective."
)
TARGET_INFO = _gauge("redis_target_info", "1, with the address and the configured labels of a target.", "address")

#: Families with a value for the newest run of each collector.
COLLECTOR_RUN_FAMILIES = (SUCCESS, SUPPORTED, DENIED, COLLECTOR_SECONDS)
#: In the order of the page. A family that is missing here is not on the page.
TARGET_FAMILIES = (
    *(UP, OPERATIONS, FAILURES, NOT_SENT, DURATION, RETRIES, LATE_REPLIES, LATE_SECONDS),
    *(LONGEST, IN_FLIGHT, PHASE, PROBE_CLOCK, TCP_RTT, TCP_MIN_RTT, TCP_RETRANSMITS, CERTIFICATE),
    *(TOKEN_EXPIRY, TOKEN_FAILURES),
    *(BREAKER_STATE, BREAKER_TRANSITIONS, BREAKER_OPEN, BREAKER_NEXT, REPLICATION_DELAY),
    *(STALLS, STALL_SECONDS, STALL_LAST_TIME, STALL_LAST_SECONDS, LATER_STALLS, LATER_STALL_SECONDS),
    *(STALL_IN_PROGRESS, STALL_EVIDENCE),
    *(SUCCESS, SUPPORTED, DENIED, COLLECTOR_SECONDS, SAMPLE_AGE, SAMPLE_TIMESTAMP, UNREADABLE, OVERFLOW),
    *(TARGET_INFO, SLO_OBJECTIVE),
    *(SCRAPES, SCRAPE_SECONDS, LAST_SCRAPE_SECONDS, LAST_CONNECT_SECONDS, LAST_PING_SECONDS, LAST_ERROR),
)

#: The operation whose runs are the pings.
PING = "ping"
#: Families that may change with each ping, or at any moment. Lines of the other series change with a poll or a connect.
_LIVE_FAMILIES = frozenset(
    (
        *(UP, NOT_SENT, LATE_REPLIES, LATE_SECONDS, LONGEST, IN_FLIGHT, PROBE_CLOCK),
        *(TCP_RTT, TCP_MIN_RTT, LAST_PING_SECONDS),
        *(BREAKER_STATE, BREAKER_TRANSITIONS, BREAKER_OPEN, BREAKER_NEXT, REPLICATION_DELAY),
        *(STALLS, STALL_SECONDS, STALL_LAST_TIME, STALL_LAST_SECONDS, LATER_STALLS, LATER_STALL_SECONDS),
        *(STALL_IN_PROGRESS, STALL_EVIDENCE, SAMPLE_AGE),
    )
)


def is_live(family: MetricFamily, labels: tuple[str, ...]) -> bool:
    """Return whether a series may change at any moment. ``labels`` are those after ``target``."""
    return family in _LIVE_FAMILIES or (labels[:1] == (PING,) and family.labels[1:2] == ("operation",))


#: Operations with a gauge of the newest duration too, which has the name that redis_exporter gave it.
NEWEST_DURATION = {"connect": LAST_CONNECT_SECONDS, "ping": LAST_PING_SECONDS}

#: Operations that measure what a client waits, at the user's wish. Their durations have the buckets of the setting.
_MEASUREMENTS = frozenset({PING, "cold_connect", "write", "read"})
#: Upper bounds in seconds, for the runs of collectors and for connects. Each of them is one of the default buckets
#: of the pings. So sums over all operations stay right.
RARE_BUCKETS = (0.001, 0.01, 0.1, 1.0)
#: Upper bounds in seconds, for the phases of connecting.
PHASE_BUCKETS = (0.00025, 0.001, 0.0025, 0.01, 0.05, 0.25, 1.0, 5.0)


def buckets(family: MetricFamily, labels: tuple[str, ...], setting: tuple[float, ...]) -> tuple[float, ...]:
    """Return the upper bounds of a histogram. ``setting`` is ``probe.buckets``, and ``labels`` follow ``target``."""
    if family is PHASE:
        return PHASE_BUCKETS
    return setting if labels[0] in _MEASUREMENTS else RARE_BUCKETS
