"""Alerts: is a server there, does it let us in, does it stay."""

from collections.abc import Iterator

from grafana.rules.rule import BY_TARGET, ON_TARGET, Alert, Group
from grafana.rules.settings import Settings
from grafana.rules.slo import PING


def alerts(settings: Settings) -> Group:
    """Return the alerts on reaching a server."""
    return Group("redis-pulse-reachable", (*_pings(settings), *_breakers(settings)))


def _pings(settings: Settings) -> Iterator[Alert]:
    span = settings.window("5m")
    yield Alert(
        name="RedisTargetDown",
        idea="`redis_up == 0`",
        expr="redis_up == 0",
        wait="1m",
        severity="critical",
        summary="Redis server {{ $labels.target }} is down",
        description=(
            "{{ $labels.target }} has not answered a ping of {{ $labels.instance }} within its deadline for a minute. "
            "The reason is in redis_operation_failures_total."
        ),
    )
    yield Alert(
        name="RedisProbeFailureRateHigh",
        idea=f"more than {100 * settings.failure_ratio:g} % of the scheduled pings of 5 minutes failed, and at least 5",
        why=(
            "Both sides are summed before they are divided, and the whole is scheduled slots: while the breaker is "
            "open a slot is a failure too. Below 5 failures a ratio says nothing: one lost ping of four would be 25 %."
        ),
        expr=f"""
            (
                sum {BY_TARGET} (rate(redis_operation_failures_total{{{PING}}}[{span}]))
              /
                (sum {BY_TARGET} (rate(redis_operations_total{{{PING}}}[{span}])) > 0)
            ) > {settings.failure_ratio:g}
            and
            sum {BY_TARGET} (increase(redis_operation_failures_total{{{PING}}}[{span}])) >= 5
        """,
        wait="5m",
        severity="warning",
        summary="{{ $value | humanizePercentage }} of the pings of Redis server {{ $labels.target }} fail",
        description=(
            "Over 5 minutes {{ $value | humanizePercentage }} of the scheduled pings of {{ $labels.target }} by "
            "{{ $labels.instance }} failed; clients of this server see errors or timeouts as well."
        ),
    )
    yield Alert(
        name="RedisAuthFailing",
        idea=(
            "pings or connections failed with the reason `auth`, or pings with `permission`, within 5 minutes, and "
            "the newest ping failed"
        ),
        why=(
            "A server that denies is alive: the breaker stays closed, and only the reason says so. Permission counts "
            "for the ping alone: collectors that a user may not run are a choice."
        ),
        expr=f"""
            (
              sum {BY_TARGET} (
                increase(redis_operation_failures_total{{operation=~"ping|connect", reason="auth"}}[{span}])
              )
              + {ON_TARGET}
              sum {BY_TARGET} (increase(redis_operation_failures_total{{{PING}, reason="permission"}}[{span}]))
            ) > 0
            and {ON_TARGET} redis_up == 0
        """,
        wait="1m",
        severity="critical",
        summary="Redis server {{ $labels.target }} does not let the exporter in",
        description=(
            "{{ $labels.target }} denies the credentials of {{ $labels.instance }}: the password or the ACL was "
            "changed on one side only. The server itself is up, but nothing is known of it."
        ),
    )


def _breakers(settings: Settings) -> Iterator[Alert]:
    opened = 'redis_circuit_breaker_transitions_total{from_state="closed", to_state="open"}'
    yield Alert(
        name="RedisCircuitBreakerOpen",
        idea="the breaker is open or half-open",
        why=(
            "A breaker goes from open to half_open and back whenever a poll tries it: without `max`, each change would "
            "start `for` anew."
        ),
        expr=f'max {BY_TARGET} (redis_circuit_breaker_state{{state=~"open|half_open"}}) == 1',
        wait="2m",
        severity="warning",
        summary="The circuit breaker of Redis server {{ $labels.target }} stays open",
        description=(
            "{{ $labels.instance }} has not polled {{ $labels.target }} for 2 minutes, because it kept failing. What "
            "is shown of this server is old or missing until a ping is answered."
        ),
    )
    yield Alert(
        name="RedisCircuitBreakerFlapping",
        idea="it went from closed to open more than 3 times in 15 minutes",
        why=(
            "Only openings of a closed breaker: each failed trial opens it again, so one that is just down opens often."
        ),
        expr=f"""
            round(sum {BY_TARGET} (increase({opened}[{settings.window("15m")}]))) > 3
        """,
        severity="warning",
        summary="Redis server {{ $labels.target }} comes and goes",
        description=(
            "The circuit breaker of {{ $labels.target }} in {{ $labels.instance }} opened {{ $value | humanize }} "
            "times within 15 minutes and closed again in between: the server answers for a while, then it does not."
        ),
    )
