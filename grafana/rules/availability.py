"""Alerts: a server is down, denies access, or keeps failing and recovering."""

from collections.abc import Iterator

from grafana.rules.rule import BY_TARGET, ON_TARGET, Alert, Group
from grafana.rules.settings import Settings
from grafana.rules.slo import PING


def alerts(settings: Settings) -> Group:
    """Return the alerts on the availability of servers."""
    return Group("redis-pulse-reachable", (*_pings(settings), *_logins(settings), *_breakers(settings)))


def _pings(settings: Settings) -> Iterator[Alert]:
    span = settings.window("5m")
    yield Alert(
        name="RedisTargetDown",
        idea="`redis_up == 0`; it ends 6 minutes after the server's return",
        why=(
            "It outlives the fast burn-rate alert of the same outage, whose short window is 5 minutes. So Alertmanager "
            "can inhibit that alert. A server that fails again meanwhile raises no second alert."
        ),
        expr="redis_up == 0",
        wait="1m",
        keep="6m",
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
            "Both sides are summed before the division. The whole is scheduled pings: while the breaker is open, a "
            "ping that is not sent is a failure too. Fewer than 5 failures give no meaningful ratio: one lost ping "
            "of four would be 25 %."
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
            "{{ $labels.instance }} failed. Clients of this server get errors or timeouts as well."
        ),
    )
    yield Alert(
        name="RedisAuthFailing",
        idea=(
            "pings or connections failed with the reason `auth`, or pings with `permission`, within 5 minutes, and "
            "the newest ping failed"
        ),
        why=(
            "A server that denies access is running, so the breaker stays closed, and only the reason shows it. The "
            "reason permission counts only for the ping. A user without permission for some collectors may be "
            "intended."
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
            "changed on one side only. The server itself is up, but the exporter cannot read anything from it."
        ),
    )


def _logins(settings: Settings) -> Iterator[Alert]:
    span = settings.window("3m")
    yield Alert(
        name="RedisCredentialsNotRenewed",
        idea="a login that expires was not renewed for 4 minutes, or has expired",
        why=(
            "A renewal that fails is repeated at least once a minute. One failure is in the window for 3 minutes, so "
            "it raises no alert. A token of AWS has 5 minutes left when its renewal is due."
        ),
        expr=f"""
            sum {BY_TARGET} (increase(redis_credentials_refresh_failures_total[{span}])) > 0
            or
            max {BY_TARGET} (redis_credentials_expiry_timestamp_seconds - time()) < 0
        """,
        wait="4m",
        severity="warning",
        summary="The login to Redis server {{ $labels.target }} is not renewed",
        description=(
            "{{ $labels.instance }} cannot renew its login to {{ $labels.target }}. When the login has expired, "
            "no new connection is possible, and the service may cut the open ones. The reason is in "
            "redis_credentials_refresh_failures_total."
        ),
    )


def _breakers(settings: Settings) -> Iterator[Alert]:
    opened = 'redis_circuit_breaker_transitions_total{from_state="closed", to_state="open"}'
    yield Alert(
        name="RedisCircuitBreakerOpen",
        idea="the breaker is open or half-open",
        why=(
            "A breaker changes from open to half_open and back whenever a poll tests it. Without `max`, each change "
            "would restart `for`."
        ),
        expr=f'max {BY_TARGET} (redis_circuit_breaker_state{{state=~"open|half_open"}}) == 1',
        wait="2m",
        severity="warning",
        summary="The circuit breaker of Redis server {{ $labels.target }} stays open",
        description=(
            "{{ $labels.instance }} has not polled {{ $labels.target }} for 2 minutes, because it kept failing. The "
            "metrics of this server are old or missing until a ping is answered."
        ),
    )
    yield Alert(
        name="RedisCircuitBreakerFlapping",
        idea="the breaker went from closed to open more than 3 times in 15 minutes",
        why=(
            "Only openings of a closed breaker count: each failed trial opens it again, so the breaker of a server "
            "that stays down opens often."
        ),
        expr=f"""
            round(sum {BY_TARGET} (increase({opened}[{settings.window("15m")}]))) > 3
        """,
        severity="warning",
        summary="Redis server {{ $labels.target }} keeps failing and recovering",
        description=(
            "The circuit breaker of {{ $labels.target }} in {{ $labels.instance }} opened {{ $value | humanize }} "
            "times within 15 minutes and closed again in between. The server answers for a while, then it fails "
            "again."
        ),
    )
