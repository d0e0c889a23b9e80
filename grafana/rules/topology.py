"""Alerts: Cluster and Sentinel, as single nodes report them, and as a whole if the exporter follows them."""

from collections.abc import Iterator

from grafana.rules.rule import BY_TARGET, ON_TARGET, Alert, Group
from grafana.rules.settings import Settings, seconds

#: The report of one Sentinel about one master.
BY_MASTER = "by (job, instance, target, master_name)"


def as_target(expression: str, **labels: str) -> str:
    """Return metrics of a whole cluster or Sentinel set with the label names of its nodes.

    ``target="cluster"`` copies the label ``cluster`` to ``target``.
    """
    for name, source in labels.items():
        expression = f'label_replace({expression}, "{name}", "$1", "{source}", "(.*)")'
    return expression


def of_set(expression: str) -> str:
    """Return metrics of a Sentinel set with the label names that metrics of one Sentinel have."""
    return as_target(expression, target="sentinel", master_name="master")


def alerts(settings: Settings) -> Group:
    """Return the alerts on Cluster and on Sentinel."""
    return Group(
        "redis-pulse-topology", (*_cluster(settings), *_whole_clusters(), *_sentinel(settings), *_whole_sets())
    )


def _cluster(settings: Settings) -> Iterator[Alert]:
    yield Alert(
        name="RedisClusterDown",
        idea="`redis_cluster_state == 0`",
        expr="redis_cluster_state == 0",
        wait="2m",
        severity="critical",
        summary="The cluster is down, reported by its node {{ $labels.target }}",
        description=(
            "{{ $labels.target }} answers CLUSTERDOWN. Slots have no node (cluster-require-full-coverage), or it "
            "reaches only a minority of the masters."
        ),
    )
    yield Alert(
        name="RedisClusterSlotsFailing",
        idea="slots whose node fails or cannot be reached, or that have no node",
        why="A server in cluster mode that has not joined a cluster knows no other node. It has lost no slots.",
        expr=f"""
            sum {BY_TARGET} (
                redis_cluster_slots_fail + redis_cluster_slots_pfail
              + (16384 - redis_cluster_slots_assigned)
            ) > 0
            and redis_cluster_known_nodes > 1
        """,
        wait="5m",
        severity="warning",
        summary="{{ $value }} slots of the cluster have no healthy node, reported by its node {{ $labels.target }}",
        description="Keys of these slots cannot be read or written until a replica is promoted or the slots are moved.",
    )
    longest, span = settings.window("30m"), settings.window("10m")
    moved = "increase(redis_net_cluster_slot_{}_bytes_total[{}]) > 0"
    yield Alert(
        name="RedisSlotMigrationStuck",
        idea="a migration of slots has been active for 30 minutes, and no bytes were moved for 10 minutes",
        why="Redis does not count the bytes, so there the age decides alone. It needs `migration_status` of `cluster`.",
        expr=f"""
            redis_slot_migration_age_seconds > {seconds(longest):g}
            unless {ON_TARGET} {moved.format("export", span)}
            unless {ON_TARGET} {moved.format("import", span)}
        """,
        wait="5m",
        severity="warning",
        summary="The {{ $labels.operation }} of slots of {{ $labels.target }} is stuck",
        description=(
            "A migration that began {{ $value | humanizeDuration }} ago does not end. Its slots stay where they were, "
            "and further migrations of them are refused."
        ),
    )


def _whole_clusters() -> Iterator[Alert]:
    yield Alert(
        name="RedisClusterNodesFailing",
        idea="nodes of a cluster that the exporter follows have failed or have no address, as most nodes report",
        expr='sum by (job, instance, cluster) (redis_cluster_topology_nodes{state=~"fail|noaddr"}) > 0',
        wait="5m",
        severity="warning",
        summary="{{ $value }} nodes of the cluster {{ $labels.cluster }} have failed",
        description=(
            "Most nodes of {{ $labels.cluster }} agree. If the failed nodes are removed for good, the cluster should "
            "forget them."
        ),
    )
    yield Alert(
        name="RedisClusterShardWithoutReplica",
        idea="a shard has no healthy replica, although another shard of the cluster has one",
        why="A cluster without any replica is intended.",
        expr="""
            redis_cluster_topology_shard_replicas == 0
            and on (job, instance, cluster)
            max by (job, instance, cluster) (redis_cluster_topology_shard_replicas) > 0
        """,
        wait="15m",
        severity="warning",
        summary="A shard of the cluster {{ $labels.cluster }} has no replica",
        description=(
            "If the master of the shard that begins with slot {{ $labels.shard }} fails, no node of "
            "{{ $labels.cluster }} can take over. Then its keys cannot be reached."
        ),
    )
    yield Alert(
        name="RedisClusterNodesDisagree",
        idea="nodes of a cluster report another topology than most of them",
        expr="redis_cluster_topology_disagreeing_nodes > 0",
        wait="5m",
        severity="warning",
        summary="{{ $value }} nodes of the cluster {{ $labels.cluster }} disagree with most nodes",
        description=(
            "Clients of {{ $labels.cluster }} are redirected again and again (MOVED), or to nodes that no longer exist."
        ),
    )


def _whole_sets() -> Iterator[Alert]:
    yield Alert(
        name="RedisSentinelsDisagree",
        idea="Sentinels of a set that the exporter follows name another master than most of them",
        expr="redis_sentinel_disagreeing > 0",
        wait="5m",
        severity="warning",
        summary="{{ $value }} Sentinels of {{ $labels.sentinel }} name another master of {{ $labels.master }}",
        description="Clients of one of these Sentinels are sent to the wrong server, and may write to it.",
    )


def _sentinel(settings: Settings) -> Iterator[Alert]:
    yield Alert(
        name="RedisSentinelQuorumLost",
        idea="`SENTINEL CKQUORUM` reports too few Sentinels",
        why="The label `message` changes with the missing part. Without `min`, each change would restart `for`.",
        expr=f"""
            min {BY_MASTER} (redis_sentinel_master_ckquorum_status) == 0
            or
            {of_set("redis_sentinel_quorum_ok")} == 0
        """,
        wait="1m",
        severity="critical",
        summary="Sentinel {{ $labels.target }} has no quorum for {{ $labels.master_name }}",
        description=(
            "If the master {{ $labels.master_name }} failed now, no failover would happen: too few Sentinels reach "
            "each other."
        ),
    )
    yield Alert(
        name="RedisSentinelMasterObjectivelyDown",
        idea="a Sentinel reports the master as objectively down",
        expr=f'max {BY_MASTER} (redis_sentinel_master_status{{master_status="odown"}}) == 1',
        wait="1m",
        severity="critical",
        summary="The master {{ $labels.master_name }} is down, and no failover has replaced it",
        description=(
            "The Sentinels agreed a minute ago that {{ $labels.master_name }} is down, reported by "
            "{{ $labels.target }}. A failover takes seconds. So there is no replica to promote, or no majority to "
            "authorise it."
        ),
    )
    span = settings.window("15m")
    moved = of_set(f"increase(redis_sentinel_failovers_total[{span}])")
    yield Alert(
        name="RedisSentinelFailoverHappened",
        idea=("within 15 minutes, the configuration epoch of a master rose, or the master of a followed set moved"),
        expr=f"changes(redis_sentinel_failover_epoch[{span}]) > 0 or {moved} > 0",
        severity="info",
        summary="Sentinel {{ $labels.target }} has seen a failover of {{ $labels.master_name }}",
        description=(
            "Another server is now the master {{ $labels.master_name }}. Why did the previous master fail, and is it "
            "a replica now?"
        ),
    )
