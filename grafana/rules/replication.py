"""Alerts: who is master of a replication group, and how the replicas follow.

A group is what bears the same label (``replication_group`` unless set otherwise) or the names that the servers of a
Sentinel are given: ``queue/master``, ``queue/replica-1``. Nodes of a cluster have many masters, and are left out.
"""

from collections.abc import Iterator

from grafana.rules.rule import ON_TARGET, Alert, Group, Record, unless_moved
from grafana.rules.settings import Settings

_OF_SENTINEL = "(.+)/(?:master|replica-[0-9]+)"


def records(settings: Settings) -> Group:
    """Return how many members of each group told their role, and how many of them are masters that are up."""
    label = settings.group_label
    named = f'target=~"{_OF_SENTINEL}"'
    groups = (
        f'(redis_target_info{{{label}!=""}} or '
        f'label_replace(redis_target_info{{{label}="", {named}}}, "{label}", "$1", "target", "{_OF_SENTINEL}"))'
    )
    single = f"unless {ON_TARGET} redis_cluster_enabled == 1"
    asked = 'redis_role{role="master"}'
    return Group(
        "redis-pulse-replication",
        (
            Record(
                f"{label}:redis_members:count",
                f"count by (job, instance, {label}) (\n  {groups}\n  and {ON_TARGET} ({asked} {single})\n)",
            ),
            Record(
                f"{label}:redis_masters:count",
                f"count by (job, instance, {label}) (\n  {groups}\n"
                f"  and {ON_TARGET} (({asked} == 1) {single})\n  and {ON_TARGET} redis_up == 1\n)",
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
        idea=f"no server of a replication group (label `{label}`) that was asked is a master and up; not for Cluster",
        why=(
            "`count(…) < 1` never fires, for no count is 0: so the groups that there are, without those that have a "
            "master."
        ),
        expr=f"{label}:redis_members:count unless {label}:redis_masters:count",
        wait="2m",
        severity="critical",
        summary=f"The replication group {{{{ $labels.{label} }}}} has no master",
        description=(
            f"None of the servers of {{{{ $labels.{label} }}}} that {{{{ $labels.instance }}}} watches is a master "
            f"that is up: "
            "nothing can be written."
        ),
    )
    yield Alert(
        name="RedisSplitBrain",
        idea="more than one server of a replication group is a master and up; not for Cluster",
        why="By group: over all servers there are as many masters as there are groups.",
        expr=f"{label}:redis_masters:count > 1",
        wait="2m",
        severity="critical",
        summary=f"The replication group {{{{ $labels.{label} }}}} has {{{{ $value }}}} masters",
        description=(
            f"{{{{ $value }}}} servers of {{{{ $labels.{label} }}}} take writes, each without the other: one of them "
            f"will lose "
            "what it was told."
        ),
    )


def _links(settings: Settings) -> Iterator[Alert]:
    same = "on (job, instance, target, master_host, master_port)"
    hour = settings.window("1h")
    yield Alert(
        name="RedisReplicationLinkDown",
        idea="`redis_master_link_up == 0`, and the replica is not receiving the dataset",
        why="While a replica receives the whole dataset its link is down too, and that may take long.",
        expr=f"redis_master_link_up == 0 unless {same} redis_master_sync_in_progress == 1",
        wait="5m",
        severity="critical",
        summary="The replica {{ $labels.target }} has lost its master",
        description=(
            "{{ $labels.target }} has no link to {{ $labels.master_host }}:{{ $labels.master_port }}: what it answers "
            "is old, and it cannot take over without loss."
        ),
    )
    yield Alert(
        name="RedisFullResyncStorm",
        idea="more than 3 full resynchronisations in an hour",
        why="increase() extrapolates, so three can look like a little more: hence round().",
        expr=f"round(increase(redis_replica_full_resyncs_total[{hour}])) > 3 {unless_moved(hour)}",
        wait="5m",
        severity="warning",
        summary="The master {{ $labels.target }} sends its whole dataset again and again",
        description=(
            "{{ $value | humanize }} full resynchronisations within an hour: replicas lose the link for longer than "
            "the backlog lasts, or are cut off while they receive. Each costs a fork, the network, and the replica's "
            "service."
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
            "When the replica falls out of the backlog or its output buffer of {{ $labels.target }} is full, it is "
            "cut off and must receive everything anew. What it lacks is lost in a failover."
        ),
    )
    yield Alert(
        name="RedisReplicationLagSeconds",
        idea=(
            f"a replica acknowledged nothing for more than {settings.lag_seconds:g} s, or shows a write of the "
            f"canary later than that"
        ),
        why=(
            "The master's own figure knows whole seconds of silence only; the canary's is end to end, where it is "
            "enabled."
        ),
        expr=(
            f"redis_replica_lag_seconds > {settings.lag_seconds:g} or redis_replication_delay_seconds > "
            f"{settings.lag_seconds:g}"
        ),
        wait="5m",
        severity="warning",
        summary="A replica of {{ $labels.target }} is {{ $value | humanizeDuration }} behind",
        description=(
            "The replica {{ $labels.slave_ip }}{{ $labels.replica }} follows {{ $labels.target }} too late: who reads "
            "from it reads the past."
        ),
    )
