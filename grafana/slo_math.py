"""The two SLIs, availability and latency, as PromQL: bad pings, error ratio, burn rate, remaining budget.

The denominator is always *scheduled* pings. A ping that was not sent, or that the exporter skipped, is bad. A failed
ping is bad for availability and for latency. A ping answered after the latency edge is bad for latency only.
"""

from typing import NamedTuple

from grafana.promql import BY_TARGET, DURATION_BUCKETS, PING, increase, of, ratio

#: Windows of burn rates that the dashboards show.
WINDOWS = ("5m", "30m", "1h", "6h", "3d")
#: Burn rates above which alerts fire: pages at 14.4 and 6, tickets at 3 and 1.
BURN_RATES = (14.4, 6, 3, 1)


class Both(NamedTuple):
    """One expression for availability, and one for latency."""

    availability: str
    latency: str


def scheduled(window: str) -> str:
    """Return the number of scheduled pings."""
    return increase(of("redis_operations_total", PING), window)


def failed(window: str) -> str:
    """Return the number of failed pings, for any reason."""
    return increase(of("redis_operation_failures_total", PING), window)


def fast(window: str) -> str:
    """Return the number of pings that were answered within the chosen latency edge."""
    return increase(of(DURATION_BUCKETS, f'{PING}, le="$edge"'), window)


def errors(window: str, by: str = BY_TARGET) -> Both:
    """Return the share of bad pings."""
    return Both(
        f"clamp_max({ratio(failed(window), scheduled(window), by)}, 1)",
        f"clamp_min(1 - {ratio(fast(window), scheduled(window), by)}, 0)",
    )


def good(window: str, by: str = BY_TARGET) -> Both:
    """Return the share of good pings: the two SLIs."""
    return Both(*(f"1 - {share}" for share in errors(window, by)))


def burn(window: str, by: str = BY_TARGET) -> Both:
    """Return the burn rate: how many times faster than the objective allows the budget is used."""
    return Both(*(f"({share}) / (1 - $objective)" for share in errors(window, by)))


def budget(window: str, by: str = BY_TARGET) -> Both:
    """Return the share of the error budget of ``window`` that is left; negative if more than the budget was used."""
    return Both(*(f"1 - ({share}) / (1 - $objective)" for share in errors(window, by)))


def worst_of_both(both: Both) -> str:
    """Return both in one vector, with a label ``sli``, so that ``max`` returns the worse one."""
    return " or ".join(
        f'label_replace({expr}, "sli", "{name}", "", "")' for name, expr in zip(Both._fields, both, strict=True)
    )
