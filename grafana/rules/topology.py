"""Alerts: Cluster as its nodes see it, Sentinel as each Sentinel sees its masters."""

from collections.abc import Iterator

from grafana.rules.rule import BY_TARGET, Alert, Group
from grafana.rules.settings import Settings

#: What one Sentinel says of one master.
BY_MASTER = "by (job, instance, target, master_name)"


def alerts(settings: Settings) -> Group:
    """Return the alerts on Cluster and on Sentinel."""
    return Group("redis-pulse-topology", (*_cluster(), *_sentinel(settings)))


def _cluster() -> Iterator[Alert]:
    yield Alert(
        name="RedisClusterDown",
        idea="`redis_cluster_state == 0`",
        expr="redis_cluster_state == 0",
        wait="2m",
        severity="critical",
        summary="The cluster is down, says its node {{ $labels.target }}",
        description=(
            "{{ $labels.target }} answers CLUSTERDOWN: slots have no node (cluster-require-full-coverage), or it sees "
            "only a minority of the masters."
        ),
    )
    yield Alert(
        name="RedisClusterSlotsFailing",
        idea="slots whose node fails or cannot be reached, or that have no node",
        why="A server that is in cluster mode and in no cluster yet knows no other node: that is no loss of slots.",
        expr=f"""
            sum {BY_TARGET} (
                redis_cluster_slots_fail + redis_cluster_slots_pfail
              + (16384 - redis_cluster_slots_assigned)
            ) > 0
            and redis_cluster_known_nodes > 1
        """,
        wait="5m",
        severity="warning",
        summary="{{ $value }} slots of the cluster have no good node, says its node {{ $labels.target }}",
        description="Keys of these slots cannot be read or written until a replica is promoted or the slots are moved.",
    )


def _sentinel(settings: Settings) -> Iterator[Alert]:
    yield Alert(
        name="RedisSentinelQuorumLost",
        idea="`SENTINEL CKQUORUM` says that too few Sentinels are there",
        why="The label `message` changes with what is missing: without `min`, each change would start `for` anew.",
        expr=f"min {BY_MASTER} (redis_sentinel_master_ckquorum_status) == 0",
        wait="1m",
        severity="critical",
        summary="Sentinel {{ $labels.target }} has no quorum for {{ $labels.master_name }}",
        description=(
            "If the master {{ $labels.master_name }} failed now, no failover would happen: too few Sentinels see "
            "each other."
        ),
    )
    yield Alert(
        name="RedisSentinelMasterObjectivelyDown",
        idea="a Sentinel holds the master to be objectively down",
        expr=f'max {BY_MASTER} (redis_sentinel_master_status{{master_status="odown"}}) == 1',
        wait="1m",
        severity="critical",
        summary="The master {{ $labels.master_name }} is down, and no failover has mended it",
        description=(
            "The Sentinels agreed a minute ago that {{ $labels.master_name }} is down, says {{ $labels.target }}. A "
            "failover takes seconds: there is no replica to promote, or no majority to authorise it."
        ),
    )
    yield Alert(
        name="RedisSentinelFailoverHappened",
        idea="the configuration epoch of a master grew within 15 minutes",
        expr=f"changes(redis_sentinel_failover_epoch[{settings.window('15m')}]) > 0",
        severity="info",
        summary="Sentinel {{ $labels.target }} has seen a failover of {{ $labels.master_name }}",
        description=(
            "Another server is the master {{ $labels.master_name }} now. Why did the one before fail, and is it a "
            "replica again?"
        ),
    )
