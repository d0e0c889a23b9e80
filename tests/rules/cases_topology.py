"""Cases about Cluster and Sentinel."""

from tests.rules.case import Case


def slots(assigned: str = "16384x60", pfail: str = "0x60", fail: str = "0x60", nodes: str = "6x60") -> dict[str, str]:
    return {
        "redis_cluster_slots_assigned": assigned,
        "redis_cluster_slots_pfail": pfail,
        "redis_cluster_slots_fail": fail,
        "redis_cluster_known_nodes": nodes,
    }


def quorum(message: str) -> str:
    return f'redis_sentinel_master_ckquorum_status{{master_name="queue", message="{message}"}}'


def status(name: str) -> str:
    return (
        f'redis_sentinel_master_status{{master_name="queue", master_address="10.0.0.1:6379", master_status="{name}"}}'
    )


EPOCH = 'redis_sentinel_failover_epoch{master_name="queue"}'

#: Labels of a Sentinel set that the exporter follows.
FOLLOWED_SET = 'sentinel="queue", master="mymaster"'

AGE = 'redis_slot_migration_age_seconds{operation="export"}'
EXPORTED, IMPORTED = (f"redis_net_cluster_slot_{word}_bytes_total" for word in ("export", "import"))

CASES = [
    Case(
        "migration of slots moves nothing",
        {AGE: "0+60x60", EXPORTED: "5000x60", IMPORTED: "0x60"},
        {"30m": "", "33m": "", "37m": "RedisSlotMigrationStuck cart warning"},
        step="1m",
    ),
    Case(
        "migration of slots takes long because there is much to move",
        {AGE: "0+60x60", EXPORTED: "5000+1000x60", IMPORTED: "0x60"},
        {"37m": "", "55m": ""},
        step="1m",
    ),
    Case(
        "migration of slots that the server does not count the bytes of",
        {AGE: "0+60x60", f"{AGE} quick": "0+60x20 0x40"},
        {"30m": "", "33m": "", "37m": "RedisSlotMigrationStuck cart warning"},
        step="1m",
    ),
    Case(
        "node replies CLUSTERDOWN",
        {"redis_cluster_state": "1x3 0x40"},
        {"2m30s": "", "3m15s": "RedisClusterDown cart critical"},
    ),
    Case("cluster is down for a minute", {"redis_cluster_state": "1x3 0x4 1x40"}, {"1m45s": "", "4m": ""}),
    Case(
        "slots have failed",
        slots(fail="0x3 5461x57"),
        {"5m": "", "6m30s": "RedisClusterSlotsFailing cart warning"},
    ),
    Case(
        "node cannot be reached",
        slots(pfail="0x3 5461x57"),
        {"6m30s": "RedisClusterSlotsFailing cart warning"},
    ),
    Case(
        "slots have no owner",
        slots(assigned="16384x3 16000x57"),
        {"6m30s": "RedisClusterSlotsFailing cart warning"},
    ),
    Case("all slots are served", slots(), {"6m30s": ""}),
    Case("server in cluster mode belongs to no cluster yet", slots(assigned="0x60", nodes="1x60"), {"6m30s": ""}),
    Case(
        "too few Sentinels run, and their number changes",
        {
            quorum("OK"): "1x3 stale _x40",
            quorum("NOQUORUM: 1 of 3"): "_x4 0x2 stale _x40",
            quorum("NOQUORUM: 0 of 3"): "_x7 0x40",
        },
        {"1m45s": "", "2m15s": "RedisSentinelQuorumLost cart critical"},
    ),
    Case("enough Sentinels run", {quorum("OK"): "1x40"}, {"5m": ""}),
    Case(
        "master is objectively down and not replaced",
        {status("ok"): "1x3 stale _x40", status("odown"): "_x4 1x40"},
        {"1m45s": "", "2m30s": "RedisSentinelMasterObjectivelyDown cart critical"},
    ),
    Case(
        "master is down according to one Sentinel, or only for half a minute",
        {status("ok"): "1x3 stale _x40", status("odown"): "_x4 1x1 stale _x40", status("sdown"): "_x7 1x40"},
        {"1m30s": "", "2m30s": "", "5m": ""},
    ),
    Case(
        "failover is reported for a quarter of an hour",
        {EPOCH: "3x8 4x80"},
        {"1m45s": "", "2m15s": "RedisSentinelFailoverHappened cart info", "18m": ""},
    ),
    Case("no failover happened", {EPOCH: "3x80"}, {"2m15s": "", "18m": ""}),
    Case(
        "followed set has a failover, and then no quorum",
        {
            f"@redis_sentinel_failovers_total{{{FOLLOWED_SET}}}": "0x8 1x80",
            f"@redis_sentinel_quorum_ok{{{FOLLOWED_SET}}}": "1x8 0x80",
        },
        {
            "1m45s": "",
            "2m15s": "RedisSentinelFailoverHappened queue info",
            "4m": "RedisSentinelFailoverHappened queue info, RedisSentinelQuorumLost queue critical",
        },
    ),
    Case(
        "Sentinel of a followed set reports another master",
        {f"@redis_sentinel_disagreeing{{{FOLLOWED_SET}}}": "0x3 1x40"},
        {"5m": "", "6m30s": "RedisSentinelsDisagree warning"},
    ),
    Case(
        "Sentinels of a followed set disagree only during a failover",
        {
            f"@redis_sentinel_failovers_total{{{FOLLOWED_SET}}}": "1x80",
            f"@redis_sentinel_quorum_ok{{{FOLLOWED_SET}}}": "1x80",
            f"@redis_sentinel_disagreeing{{{FOLLOWED_SET}}}": "0x3 1x4 0x40",
        },
        {"2m15s": "", "6m30s": ""},
    ),
    Case(
        "only replica of a shard fails, and the nodes disagree about it",
        {
            '@redis_cluster_topology_nodes{cluster="shop", role="replica", state="fail"}': "0x3 1x100",
            '@redis_cluster_topology_nodes{cluster="shop", role="replica", state="ok"}': "3x3 2x100",
            '@redis_cluster_topology_shard_replicas{cluster="shop", shard="0"}': "1x3 0x100",
            '@redis_cluster_topology_shard_replicas{cluster="shop", shard="5461"}': "1x103",
            '@redis_cluster_topology_disagreeing_nodes{cluster="shop"}': "0x3 1x100",
        },
        {
            "5m": "",
            "6m30s": "RedisClusterNodesDisagree warning, RedisClusterNodesFailing warning",
            "17m": (
                "RedisClusterNodesDisagree warning, RedisClusterNodesFailing warning, "
                "RedisClusterShardWithoutReplica warning"
            ),
        },
    ),
    Case(
        "cluster without replicas, and a suspected node, raise no alert",
        {
            '@redis_cluster_topology_nodes{cluster="shop", role="master", state="pfail"}': "1x100",
            '@redis_cluster_topology_shard_replicas{cluster="shop", shard="0"}': "0x100",
            '@redis_cluster_topology_shard_replicas{cluster="shop", shard="5461"}': "0x100",
            '@redis_cluster_topology_disagreeing_nodes{cluster="shop"}': "0x100",
        },
        {"17m": ""},
    ),
]
