"""Alert: clients of a server keep waiting. It names the main cause, and so do the alerts on burn rates."""

from grafana.rules.rule import BY_TARGET, ON_TARGET, WHILE_UP, Alert, Group
from grafana.rules.settings import Settings


def main_cause(window: str) -> str:
    """Return a template for the text of an alert: the cause with the most seconds in stalls of the window."""
    series = "redis_stall_seconds_total{job=%q, instance=%q, target=%q}"
    query = f"topk(1, sum by (cause) (increase({series}[{window}])) > 0)"
    labels = "$labels.job $labels.instance $labels.target"
    return (
        f'{{{{ with query (printf "{query}" {labels}) }}}}'
        f"Main cause of the stalls of the last {window}: "
        '{{ . | first | label "cause" }} ({{ . | first | value | humanizeDuration }}). '
        "docs/stalls.md has a section about it."
        f"{{{{ else }}}}No stall that ended in the last {window} was recorded.{{{{ end }}}}"
    )


def alerts(settings: Settings) -> Group:
    """Return the alert on stalls."""
    span, without_end = settings.window("15m"), settings.window("5m")
    return Group(
        "redis-pulse-stalls",
        (
            Alert(
                name="RedisStalls",
                idea=f"at least {settings.stalls} stalls within 15 minutes, or one that lasts for 5 minutes",
                why=(
                    "A stall is counted when it ends. So one that does not end is looked for separately. A server "
                    "that is down is covered by RedisTargetDown."
                ),
                expr=f"""
                    (min_over_time(redis_stall_in_progress[{without_end}]) == 1 {WHILE_UP})
                    or {ON_TARGET}
                    round(sum {BY_TARGET} (increase(redis_stalls_total[{span}]))) >= {settings.stalls}
                """,
                severity="warning",
                summary="Clients of Redis server {{ $labels.target }} wait again and again",
                description=(
                    f"{{{{ $labels.target }}}} kept pings of {{{{ $labels.instance }}}} waiting. {main_cause(span)} "
                    "GET /stalls of the exporter shows each stall with its evidence and what to do. "
                    "For not_running in Kubernetes, look at container_cpu_cfs_throttled_periods_total of the pod."
                ),
            ),
        ),
    )
