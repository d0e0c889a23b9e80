"""The SLO: scheduled pings, bad pings, burn rates over pairs of windows, and the remaining budget.

Availability: a failed ping is bad. Latency: a ping that was not answered within the edge is bad, so a failed one too.
Both are divided by all *scheduled* pings, including pings that were not sent. Otherwise an open breaker would improve
the SLI. The recorded series call scheduled pings ``slots``.
"""

from collections.abc import Iterator
from typing import NamedTuple

from grafana.rules.rule import BY_TARGET, Alert, Group, Record, Severity
from grafana.rules.settings import Settings
from grafana.rules.stalls import main_cause

#: Short windows: rates of the counters themselves.
SHORT = ("5m", "30m", "1h", "2h", "6h")
#: Long windows: the mean of adjacent recorded rates, so 30 days are 720 points instead of 172 800.
TILES = {"1d": "5m", "3d": "30m", "30d": "1h"}
PING = 'operation="ping"'


class Sli(NamedTuple):
    """One SLI. ``bad`` is the recorded series of its numerator.

    ``objective`` is the share that must be good. For availability, an objective that an exporter publishes replaces it.
    """

    name: str
    bad: str
    alert: str
    objective: float
    happens: str


class Burn(NamedTuple):
    """Pairs of windows with a burn rate. The alert needs this burn rate in both windows of a pair.

    A burn rate of 1 uses the whole budget in 30 days.
    """

    name: str
    pairs: tuple[tuple[str, str, float], ...]
    wait: str
    severity: Severity
    spent: str


BURNS = (
    Burn("Fast", (("1h", "5m", 14.4),), "2m", "critical", "This rate uses 2 % of the 30-day budget in an hour"),
    Burn("Slow", (("6h", "30m", 6),), "15m", "critical", "This rate uses 5 % of the 30-day budget in six hours"),
    Burn(
        "Ticket",
        (("1d", "2h", 3), ("3d", "6h", 1)),
        "1h",
        "warning",
        "This rate uses 10 % of the 30-day budget in one to three days",
    ),
)


def slis(settings: Settings) -> tuple[Sli, Sli]:
    """Return availability and latency."""
    return (
        Sli("availability", "failures", "RedisErrorBudgetBurn", settings.objective, "fail"),
        Sli("latency", "slow", "RedisLatencyBudgetBurn", settings.latency_objective, "are late or fail"),
    )


def records(settings: Settings) -> tuple[Group, ...]:
    """Return the recorded series. Those of the long windows are evaluated less often."""
    # The allowed ratios come first: a group is evaluated in order, and the burn rates divide by them.
    often = [_allowed(settings, sli) for sli in slis(settings)]
    often += [rule for window in SHORT for rule in _window(settings, window)]
    seldom = [rule for window in TILES for rule in _window(settings, window)]
    budgets = [rule for sli in slis(settings) for rule in _budgets(sli)]
    return (
        Group("redis-pulse-slo", tuple(often)),
        Group("redis-pulse-slo-long", (*seldom, *budgets), interval=settings.window("1m")),
    )


def _window(settings: Settings, window: str) -> Iterator[Record]:
    yield from (_short if window in SHORT else _long)(settings, window)
    for sli in slis(settings):
        bad, slots = f"target:redis_ping_{sli.bad}:rate{window}", f"target:redis_ping_slots:rate{window}"
        ratio, burn = f"redis_ping_{sli.bad}_per_slots:ratio_rate{window}", f"redis_{sli.name}_slo:burn_rate{window}"
        allowed = f"target:redis_{sli.name}_slo:allowed_ratio"
        yield Record(f"target:{ratio}", f"{bad} / ({slots} > 0)")
        yield Record(f"target:{burn}", f"target:{ratio} / {allowed}")
        yield Record(f"job:{ratio}", f"sum by (job) ({bad}) / (sum by (job) ({slots}) > 0)")
        # Targets have different objectives, so the denominator is the sum of what each target may lose.
        lost = f"sum by (job) ({bad} and {allowed})"
        yield Record(f"job:{burn}", f"{lost} / (sum by (job) ({slots} * {allowed}) > 0)")


def _allowed(settings: Settings, sli: Sli) -> Record:
    """Return the record of the share of a target's scheduled pings that may be bad.

    An exporter publishes the objective of availability for each target. The objective of latency is a setting of the
    rules, like the edge. If the exporter disappears, the series stay for as long as the windows of the pages.
    """
    span = settings.window("6h")
    published = f"1 - max {BY_TARGET} (last_over_time(redis_slo_objective_ratio[{span}]))"
    all_targets = f"group {BY_TARGET} (last_over_time(redis_operations_total{{{PING}}}[{span}]))"
    by_setting = f"{all_targets} * {1 - sli.objective:.6g}"
    expression = f"{published}\nor\n{by_setting}" if sli.name == "availability" else by_setting
    return Record(f"target:redis_{sli.name}_slo:allowed_ratio", expression)


def _short(settings: Settings, window: str) -> Iterator[Record]:
    span = settings.window(window)
    yield Record(
        f"target:redis_ping_slots:rate{window}", f"sum {BY_TARGET} (rate(redis_operations_total{{{PING}}}[{span}]))"
    )
    yield Record(
        f"target:redis_ping_failures:rate{window}",
        f"sum {BY_TARGET} (rate(redis_operation_failures_total{{{PING}}}[{span}]))",
    )
    in_time = f'redis_operation_duration_seconds_bucket{{{PING}, le="{settings.le}"}}'
    yield Record(
        f"target:redis_ping_slow:rate{window}",
        f"clamp_min(target:redis_ping_slots:rate{window} - sum {BY_TARGET} (rate({in_time}[{span}])), 0)",
    )


def _long(settings: Settings, window: str) -> Iterator[Record]:
    tile = TILES[window]
    for part in ("slots", "failures", "slow"):
        series = f"target:redis_ping_{part}:rate"
        steps = f"{settings.window(window)}:{settings.window(tile)}"
        yield Record(f"{series}{window}", f"avg_over_time({series}{tile}[{steps}])")


def _budgets(sli: Sli) -> Iterator[Record]:
    for level in ("target", "job"):
        name = f"{level}:redis_{sli.name}_slo"
        yield Record(f"{name}:budget_left_rate30d", f"1 - {name}:burn_rate30d")


def alerts(settings: Settings) -> Group:
    """Return the alerts on burn rates. A high burn rate pages quickly; a low one creates a ticket later."""
    return Group("redis-pulse-slo", tuple(_burn(settings, sli, burn) for sli in slis(settings) for burn in BURNS))


def burned_fast(settings: Settings) -> str:
    """Return the condition that the last hour alone uses up the budget of availability fast enough for a page."""
    availability, (long, _, factor) = slis(settings)[0], BURNS[0].pairs[0]
    return (
        f"target:redis_{availability.name}_slo:burn_rate{long} > {factor:g} and "
        f"{_enough_failures(settings, availability, long)}"
    )


def _enough_failures(settings: Settings, sli: Sli, window: str) -> str:
    return f"target:redis_ping_{sli.bad}:rate{window} * {settings.seconds(window):g} >= {settings.least_failures}"


def _burn(settings: Settings, sli: Sli, burn: Burn) -> Alert:
    rate = f"target:redis_{sli.name}_slo:burn_rate"
    parts = []
    for long, short, factor in burn.pairs:
        # No rate of counters is recorded over the long windows of a ticket, so the shorter window is counted.
        counted = long if long in SHORT else short
        parts.append(
            f"(\n    {rate}{long} > {factor:g}\n  and\n    {rate}{short} > {factor:g}\n  and\n    "
            f"{_enough_failures(settings, sli, counted)}\n)"
        )
    late = f"Late is more than {1000 * settings.edge:g} ms. " if sli.name == "latency" else ""
    idea = " or ".join(f"burn rate over {long} and {short} > {factor:g}" for long, short, factor in burn.pairs)
    return Alert(
        name=f"{sli.alert}{burn.name}",
        idea=f"{idea}. And at least {settings.least_failures} bad pings",
        expr="\nor\n".join(parts),
        wait=burn.wait,
        severity=burn.severity,
        summary=(
            f"Redis server {{{{ $labels.target }}}} burns its {sli.name} budget {{{{ $value | humanize }}}} times "
            f"too fast"
        ),
        description=(
            f"More pings of {{{{ $labels.target }}}} by {{{{ $labels.instance }}}} {sli.happens} than its objective "
            f"(slo.objective) allows. {late}{main_cause(settings.window(burn.pairs[0][0]))} {burn.spent}."
        ),
    )
