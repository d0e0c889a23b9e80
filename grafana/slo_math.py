"""The two objectives, availability and latency, as PromQL: bad slots, error ratio, burn rate, budget left.

The denominator is always *scheduled* slots: a ping that was not sent, or that the exporter skipped, is bad.
A ping that failed is neither available nor in time; one that was answered after the edge was available and too late.
"""

from typing import NamedTuple

from grafana.promql import BY_TARGET, DURATION_BUCKETS, PING, increase, of, ratio

#: (window, name of the alert's severity, burn rate) as the alerts use them.
WINDOWS = ("5m", "30m", "1h", "6h", "3d")
#: Burn rates at which alerts begin: pages at 14.4 and 6, tickets at 3 and 1.
BURN_RATES = (14.4, 6, 3, 1)


class Both(NamedTuple):
    """The same of availability and of latency."""

    availability: str
    latency: str


def slots(window: str) -> str:
    """Scheduled pings."""
    return increase(of("redis_operations_total", PING), window)


def failed(window: str) -> str:
    """Pings without an answer in time, for whatever reason."""
    return increase(of("redis_operation_failures_total", PING), window)


def fast(window: str) -> str:
    """Pings that were answered within the chosen edge."""
    return increase(of(DURATION_BUCKETS, f'{PING}, le="$edge"'), window)


def errors(window: str, by: str = BY_TARGET) -> Both:
    """Share of bad slots."""
    return Both(
        f"clamp_max({ratio(failed(window), slots(window), by)}, 1)",
        f"clamp_min(1 - {ratio(fast(window), slots(window), by)}, 0)",
    )


def good(window: str, by: str = BY_TARGET) -> Both:
    """Share of good slots: the two SLIs."""
    return Both(*(f"1 - {share}" for share in errors(window, by)))


def burn(window: str, by: str = BY_TARGET) -> Both:
    """Say how many times faster than the objective allows the budget is used up."""
    return Both(*(f"({share}) / (1 - $objective)" for share in errors(window, by)))


def budget(window: str, by: str = BY_TARGET) -> Both:
    """Share of the error budget of ``window`` that is left; negative when it is overdrawn."""
    return Both(*(f"1 - ({share}) / (1 - $objective)" for share in errors(window, by)))


def worst_of_both(both: Both) -> str:
    """Put both into one vector, told apart by a label, so that ``max`` takes the worse."""
    return " or ".join(
        f'label_replace({expr}, "sli", "{name}", "", "")' for name, expr in zip(Both._fields, both, strict=True)
    )
