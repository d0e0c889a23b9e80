"""The one table of advice: for each problem its code, title, severity, why it matters, and what to do.

``redis-pulse doctor``, the status page, the log, the runbooks and docs/findings/ show texts from here only.
"""

from redis_pulse.advice.model import (
    SEVERITIES,
    Advice,
    FilledAdvice,
    Severity,
    placeholders,
    printable,
)
from redis_pulse.advice.table import (
    BY_ALERT,
    BY_CODE,
    BY_KEY,
    TABLE,
    for_cause,
    for_error,
    for_key,
    for_reason,
)

__all__ = [
    "BY_ALERT",
    "BY_CODE",
    "BY_KEY",
    "SEVERITIES",
    "TABLE",
    "Advice",
    "FilledAdvice",
    "Severity",
    "for_cause",
    "for_error",
    "for_key",
    "for_reason",
    "placeholders",
    "printable",
]
