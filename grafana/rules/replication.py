"""Alerts: the masters of replication groups, and the lag of replicas.

The servers of a group have the same value of a label, by default ``replication_group``. Servers that are discovered
by Sentinel are grouped by name: ``queue/master``, ``queue/replica-1``. Cluster nodes are excluded: a cluster has
many masters.
"""

from collections.abc import Iterator

from grafana.rules.rule import ON_TARGET, Alert, Group, Record, unless_moved
from grafana.rules.settings import Settings

_SENTINEL_NAME = "(.+)/(?:master|replica-[0-9]+)"


def records(settings: Settings) -> Group:
    """Return for each group the number of members that reported a role, and of masters that are up."""
    label = settings.group_label
    by_name = f'target=~"{_SENTINEL_NAME}"'
    groups = (
        f'(redis_target_info{{{label}!=""}} or '
        f'label_replace(redis_target_info{{{label}="", {by_name}}}, "{label}", "$1", "target", "{_SENTINEL_NAME}"))'
    )
    single = f"unless {ON_TARGET} redis_cluster_enabled == 1"
    role = 'redis_role{role="master"}'
    return Group(
        "redis-pulse-replication",
        (
            Record(
                f"{label}:redis_members:count",
                f"count by (job, instance, {label}) (\n  {groups}\n  and {ON_TARGET} ({role} {single})\n)",
            ),
            Record(
                f"{label}:redis_masters:count",
                f"count by (job, instance, {label}) (\n  {groups}\n"
                f"  and {ON_TARGET} (({role} == 1) {single})\n  and {ON_TARGET} redis_up == 1\n)",
            ),
        ),
    )


def alerts(settings: Settings) -> Group:
    """Return the alerts on masters, links, lag and full resynchronisations."""
    return Group("redis-pulse-replication", (*_masters(settings), *_links(settings), *_lag(settings)))


def _masters(settings: Settings) -> Iterator[Alert]:
    label = settings.group_label
    yield Alert(
        name="RedisNoMaster",
        idea=(
            f"no server of a replication group (label `{label}`) that reported its role is a master and up; not for "
            "Cluster"
        ),
        why=(
            "`count(…) < 1` never fires, because a count is never 0. So the expression takes all groups and removes "
            "those with a master."
        ),
        expr=f"{label}:redis_members:count unless {label}:redis_masters:count",
        wait="2m",
        severity="critical",
        summary=f"The replication group {{{{ $labels.{label} }}}} has no master",
        description=(
            f"None of the servers of {{{{ $labels.{label} }}}} that {{{{ $labels.instance }}}} watches is a master "
            "that is up. Writes are not possible."
        ),
    )
    yield Alert(
        name="RedisSplitBrain",
        idea="more than one server of a replication group is a master and up; not for Cluster",
        why="By group: all servers together have as many masters as there are groups.",
        expr=f"{label}:redis_masters:count > 1",
        wait="2m",
        severity="critical",
        summary=f"The replication group {{{{ $labels.{label} }}}} has {{{{ $value }}}} masters",
        description=(
            f"{{{{ $value }}}} servers of {{{{ $labels.{label} }}}} accept writes independently of each other. One of "
            "them will lose its writes."
        ),
    )


def _links(settings: Settings) -> Iterator[Alert]:
    same = "on (job, instance, target, master_host, master_port)"
    hour = settings.window("1h")
    yield Alert(
        name="RedisReplicationLinkDown",
        idea="`redis_master_link_up == 0`, and the replica is not receiving the dataset",
        why="While a replica receives the whole dataset, its link is down too, and that may take long.",
        expr=f"redis_master_link_up == 0 unless {same} redis_master_sync_in_progress == 1",
        wait="5m",
        severity="critical",
        summary="The replica {{ $labels.target }} has lost its master",
        description=(
            "{{ $labels.target }} has no link to {{ $labels.master_host }}:{{ $labels.master_port }}. It serves old "
            "data, and it cannot take over without data loss."
        ),
    )
    yield Alert(
        name="RedisFullResyncStorm",
        idea="more than 3 full resynchronisations in an hour",
        why="increase() extrapolates, so three can look like a little more. round() corrects this.",
        expr=f"round(increase(redis_replica_full_resyncs_total[{hour}])) > 3 {unless_moved(hour)}",
        wait="5m",
        severity="warning",
        summary="The master {{ $labels.target }} sends its whole dataset again and again",
        description=(
            "{{ $value | humanize }} full resynchronisations within an hour. Replicas lose the link for longer than "
            "the backlog lasts, or are disconnected while they receive. Each costs a fork, network traffic, and the "
            "availability of the replica."
        ),
    )
    span = settings.window("10m")
    yield Alert(
        name="RedisFullSyncStuck",
        idea="a replica without a link has been receiving the dataset for 10 minutes, and nothing new arrived",
        why=(
            "While the master writes a snapshot, and while the replica loads it, nothing arrives. The first may "
            "take some minutes, so the alert waits. The second is excluded."
        ),
        expr=f"""
            redis_master_link_up == 0
            and {same} max_over_time(redis_master_sync_in_progress[{span}]) == 1
            unless {same} changes(redis_master_sync_left_bytes[{span}]) > 0
            unless {ON_TARGET} redis_loading_dump_file == 1
        """,
        wait="10m",
        severity="warning",
        summary="The full resynchronisation of the replica {{ $labels.target }} is stuck",
        description=(
            "{{ $labels.target }} waits for the dataset of {{ $labels.master_host }}:{{ $labels.master_port }}, and "
            "nothing arrives. Until it is complete, the replica serves old data or none."
        ),
    )


def _lag(settings: Settings) -> Iterator[Alert]:
    yield Alert(
        name="RedisReplicationLagBytes",
        idea=f"a replica has not acknowledged more than {settings.lag_bytes:,} bytes",
        expr=f"redis_replica_lag_bytes > {settings.lag_bytes}",
        wait="5m",
        severity="warning",
        summary=(
            "The replica {{ $labels.slave_ip }}:{{ $labels.slave_port }} of {{ $labels.target }} is {{ $value | "
            "humanize1024 }}B behind"
        ),
        description=(
            "When the replica falls out of the backlog, or its output buffer on {{ $labels.target }} is full, it is "
            "disconnected. Then it must receive the whole dataset again. A failover loses the missing data."
        ),
    )
    yield Alert(
        name="RedisReplicationLagSeconds",
        idea=(
            f"a replica acknowledged nothing for more than {settings.lag_seconds:g} s, or shows a write of the canary "
            "later than this"
        ),
        why=(
            "The master only reports whole seconds without an acknowledgement. The canary measures the delay end to "
            "end, if it is enabled."
        ),
        expr=(
            f"redis_replica_lag_seconds > {settings.lag_seconds:g} or redis_replication_delay_seconds > "
            f"{settings.lag_seconds:g}"
        ),
        wait="5m",
        severity="warning",
        summary="A replica of {{ $labels.target }} is {{ $value | humanizeDuration }} behind",
        description=(
            "The replica {{ $labels.slave_ip }}{{ $labels.replica }} is behind {{ $labels.target }}. Clients that "
            "read from it get old data."
        ),
    )
