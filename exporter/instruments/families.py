"""What we count and time of every target: one row a family. Its name is spelled here and nowhere else."""

from typing import Literal, NamedTuple


class Family(NamedTuple):
    """One family of ours, as the page and the documentation show it."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    labels: tuple[str, ...]
    help: str


def _gauge(name: str, text: str, *labels: str) -> Family:
    return Family(name, "gauge", ("target", *labels), text)


def _counter(name: str, text: str, *labels: str) -> Family:
    return Family(name, "counter", ("target", *labels), text)


UP = _gauge("redis_up", "1 while the newest probe slot succeeded within its deadline.")
OPERATIONS = _counter(
    "redis_operations_total", "Scheduled slots of an operation; every slot counts exactly once.", "operation"
)
FAILURES = _counter("redis_operation_failures_total", "Slots that did not succeed.", "operation", "reason")
DURATION = Family(
    "redis_operation_duration_seconds",
    "histogram",
    ("target", "operation"),
    "Time a client would have waited; a timeout is observed at its deadline.",
)
RETRIES = _counter("redis_operation_retries_total", "Reads sent a second time within one slot.", "operation")
LATE_REPLIES = _counter("redis_late_replies_total", "Replies that came after their slot had timed out.")
LATE_SECONDS = _gauge("redis_last_late_reply_seconds", "Round trip of the newest reply that came too late.")
BREAKER_STATE = _gauge("redis_circuit_breaker_state", "1 for the state that the circuit breaker is in.", "state")
BREAKER_TRANSITIONS = _counter(
    "redis_circuit_breaker_transitions_total", "Changes of state of the circuit breaker.", "from_state", "to_state"
)
BREAKER_OPEN = _counter("redis_circuit_breaker_open_seconds_total", "Seconds the circuit breaker spent not closed.")
SUCCESS = _gauge("redis_collector_success", "1 if the newest run of a collector worked.", "collector")
SUPPORTED = _gauge("redis_collector_supported", "0 if the server lacks or denies what it reads.", "collector")
COLLECTOR_SECONDS = _gauge("redis_collector_duration_seconds", "Duration of the newest run.", "collector")
SAMPLE_AGE = _gauge("redis_sample_age_seconds", "Age of the newest samples of a collector, served or not.", "collector")
UNREADABLE = _counter("redis_exporter_unreadable_fields_total", "Parts of replies that made no sense.", "collector")
OVERFLOW = _counter(
    "redis_exporter_overflowed_values_total", "Label values put together as overflow: a cap was reached.", "collector"
)
TARGET_INFO = _gauge("redis_target_info", "1, with the address and the configured labels of a target.", "address")

#: In the order of the page.
OF_TARGETS = (
    *(UP, OPERATIONS, FAILURES, DURATION, RETRIES, LATE_REPLIES, LATE_SECONDS),
    *(BREAKER_STATE, BREAKER_TRANSITIONS, BREAKER_OPEN),
    *(SUCCESS, SUPPORTED, COLLECTOR_SECONDS, SAMPLE_AGE, UNREADABLE, OVERFLOW, TARGET_INFO),
)
