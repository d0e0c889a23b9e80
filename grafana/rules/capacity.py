"""Alerts: memory, connections and CPU of a server, and its error replies."""

from collections.abc import Iterator

from grafana.rules.rule import BY_TARGET, ON_TARGET, Alert, Group, unless_moved
from grafana.rules.settings import Settings

#: Codes of normal error replies: redirections, scripts that must be loaded first, groups that exist already.
#: Pings get LOADING too, so RedisTargetDown covers it.
HARMLESS = ("MOVED", "ASK", "NOSCRIPT", "BUSYGROUP", "BUSYKEY", "LOADING")
#: Codes that have their own alerts.
SEPARATE = ("OOM", "MISCONF", "READONLY")


def alerts(settings: Settings) -> Group:
    """Return the alerts on saturation and on error replies."""
    rules = (*_memory(settings), *_connections(settings), *_cpu(settings), *_errors(settings))
    return Group("redis-pulse-capacity", rules)


def _memory(settings: Settings) -> Iterator[Alert]:
    policy = f'and {ON_TARGET} redis_instance_info{{maxmemory_policy="noeviction"}}'
    limits = (("warning", settings.memory), ("critical", settings.memory_critical))
    for severity, limit in limits:
        yield Alert(
            name="RedisMemoryNearMaxmemory",
            idea=f"used memory above {100 * limit:g} % of maxmemory, policy noeviction",
            why=(
                "Only where nothing is evicted: a cache is full by design. No limit (maxmemory 0) has no ratio."
                if severity == "warning"
                else ""
            ),
            expr=f"redis_memory_used_bytes / (redis_memory_max_bytes > 0) > {limit:g}\n{policy}",
            wait="10m",
            severity=severity,  # type: ignore[arg-type]
            summary="Redis server {{ $labels.target }} has used {{ $value | humanizePercentage }} of its memory",
            description=(
                "{{ $labels.target }} evicts nothing (maxmemory-policy noeviction): at maxmemory it refuses every "
                "write with OOM."
            ),
        )
    yield Alert(
        name="RedisEvicting",
        idea="keys are evicted so fast that all of them were replaced within an hour",
        why=(
            "A full cache evicts keys, which is normal. A cache that replaces all its keys within an hour is too "
            "small for its work."
        ),
        expr=f"""
            rate(redis_evicted_keys_total[{settings.window("10m")}]) * 3600
            > {ON_TARGET}
            sum {BY_TARGET} (redis_db_keys)
        """,
        wait="10m",
        severity="warning",
        summary="Redis server {{ $labels.target }} evicts {{ $value | humanize }} keys an hour, more than it holds",
        description=(
            "The cache {{ $labels.target }} is too small for the data that is written to it. At this rate all its "
            "keys are replaced within an hour, and its hit ratio falls."
        ),
    )


def _connections(settings: Settings) -> Iterator[Alert]:
    span = settings.window("5m")
    yield Alert(
        name="RedisConnectionsNearLimit",
        idea=f"connections above {100 * settings.connections:g} % of maxclients",
        expr=f"redis_connected_clients / (redis_max_clients > 0) > {settings.connections:g}",
        wait="5m",
        severity="warning",
        summary="Redis server {{ $labels.target }} has used {{ $value | humanizePercentage }} of its connections",
        description=(
            "At maxclients, {{ $labels.target }} refuses every new connection, including those of the exporter and "
            "of administrators."
        ),
    )
    yield Alert(
        name="RedisConnectionsRejected",
        idea=(
            "`redis_rejected_connections_total` grew within 5 minutes, or pings or connections fail with the reason "
            "`maxclients`"
        ),
        why=(
            "When connections are refused, the exporter may be refused too. Then it cannot read the counter of the "
            "server. So the exporter's own failed connections count as well."
        ),
        expr=f"""
            (increase(redis_rejected_connections_total[{span}]) > 0 {unless_moved(span)})
            or
            sum {BY_TARGET} (
              increase(redis_operation_failures_total{{operation=~"ping|connect", reason="maxclients"}}[{span}])
            ) > 0
        """,
        severity="critical",
        summary="Redis server {{ $labels.target }} refuses connections",
        description="maxclients is reached: {{ $labels.target }} closed new connections within the last 5 minutes.",
    )


def _cpu(settings: Settings) -> Iterator[Alert]:
    span = settings.window("5m")
    yield Alert(
        name="RedisMainThreadSaturated",
        idea=f"CPU of the main thread above {100 * settings.cpu:g} % of a core",
        expr=f"""
            rate(redis_cpu_sys_main_thread_seconds_total[{span}])
            + rate(redis_cpu_user_main_thread_seconds_total[{span}])
            > {settings.cpu:g}
        """,
        wait="10m",
        severity="warning",
        summary=(
            "The main thread of Redis server {{ $labels.target }} is busy {{ $value | humanizePercentage }} of the time"
        ),
        description=(
            "{{ $labels.target }} runs its commands one after the other, on one core, and this core is full. Every "
            "further command waits."
        ),
    )


def _errors(settings: Settings) -> Iterator[Alert]:
    span = settings.window("5m")
    other = "|".join((*HARMLESS, *SEPARATE))
    yield Alert(
        name="RedisErrorReplies",
        idea=(
            f"more than {100 * settings.error_replies:g} % of the commands of 5 minutes got an error with the same "
            "code, and at least 10"
        ),
        expr=f"""
            (
                rate(redis_errors_total{{err!~"{other}"}}[{span}])
              / {ON_TARGET} group_left ()
                (rate(redis_commands_processed_total[{span}]) > 0)
            ) > {settings.error_replies:g}
            and
            increase(redis_errors_total[{span}]) >= 10
        """,
        wait="5m",
        severity="warning",
        summary=(
            "Redis server {{ $labels.target }} answers {{ $value | humanizePercentage }} of its commands with {{ "
            "$labels.err }}"
        ),
        description=(
            "Clients of {{ $labels.target }} get the error {{ $labels.err }}. The cause is in the clients (ERR, "
            "WRONGTYPE, NOAUTH, NOPERM) or in the server (BUSY, CLUSTERDOWN)."
        ),
    )
    separate_alerts = {
        "OOM": ("critical", "refuses writes: out of memory", "maxmemory is reached, and no key may be evicted"),
        "MISCONF": (
            "critical",
            "refuses writes: it cannot save",
            "the last snapshot or append failed, and stop-writes-on-bgsave-error is on",
        ),
        "READONLY": (
            "warning",
            "gets writes, but is a replica",
            "clients still write to a server that is not a master, mostly after a failover",
        ),
    }
    for code, (severity, summary, reason) in separate_alerts.items():
        yield Alert(
            name=f"RedisErrorReplies{code}",
            idea=f"error replies with the code {code} within 5 minutes",
            expr=f'increase(redis_errors_total{{err="{code}"}}[{span}]) > 0',
            wait="5m",
            severity=severity,  # type: ignore[arg-type]
            summary=f"Redis server {{{{ $labels.target }}}} {summary}",
            description=f"Clients of {{{{ $labels.target }}}} get the error {code}: {reason}.",
        )
