"""Cluster and Sentinel."""

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

#: A set of Sentinels that the exporter follows, and its master.
SET = 'sentinel="queue", master="mymaster"'

CASES = [
    Case(
        "a node answers CLUSTERDOWN",
        {"redis_cluster_state": "1x3 0x40"},
        {"2m30s": "", "3m15s": "RedisClusterDown cart critical"},
    ),
    Case("a cluster was down for a minute", {"redis_cluster_state": "1x3 0x4 1x40"}, {"1m45s": "", "4m": ""}),
    Case(
        "slots have failed",
        slots(fail="0x3 5461x57"),
        {"5m": "", "6m30s": "RedisClusterSlotsFailing cart warning"},
    ),
    Case(
        "a node cannot be reached",
        slots(pfail="0x3 5461x57"),
        {"6m30s": "RedisClusterSlotsFailing cart warning"},
    ),
    Case(
        "slots belong to nobody",
        slots(assigned="16384x3 16000x57"),
        {"6m30s": "RedisClusterSlotsFailing cart warning"},
    ),
    Case("all slots are served", slots(), {"6m30s": ""}),
    Case("a server is in cluster mode, and in no cluster yet", slots(assigned="0x60", nodes="1x60"), {"6m30s": ""}),
    Case(
        "too few Sentinels are there; what is missing changes",
        {
            quorum("OK"): "1x3 stale _x40",
            quorum("NOQUORUM: 1 of 3"): "_x4 0x2 stale _x40",
            quorum("NOQUORUM: 0 of 3"): "_x7 0x40",
        },
        {"1m45s": "", "2m15s": "RedisSentinelQuorumLost cart critical"},
    ),
    Case("enough Sentinels are there", {quorum("OK"): "1x40"}, {"5m": ""}),
    Case(
        "a master is objectively down, and is not replaced",
        {status("ok"): "1x3 stale _x40", status("odown"): "_x4 1x40"},
        {"1m45s": "", "2m30s": "RedisSentinelMasterObjectivelyDown cart critical"},
    ),
    Case(
        "a master is down as one Sentinel sees it, or was for half a minute",
        {status("ok"): "1x3 stale _x40", status("odown"): "_x4 1x1 stale _x40", status("sdown"): "_x7 1x40"},
        {"1m30s": "", "2m30s": "", "5m": ""},
    ),
    Case(
        "a failover is told for a quarter of an hour",
        {EPOCH: "3x8 4x80"},
        {"1m45s": "", "2m15s": "RedisSentinelFailoverHappened cart info", "18m": ""},
    ),
    Case("no failover happened", {EPOCH: "3x80"}, {"2m15s": "", "18m": ""}),
    Case(
        "a followed set has moved, and has no quorum any more",
        {
            f"@redis_sentinel_failovers_total{{{SET}}}": "0x8 1x80",
            f"@redis_sentinel_quorum_ok{{{SET}}}": "1x8 0x80",
        },
        {
            "1m45s": "",
            "2m15s": "RedisSentinelFailoverHappened queue info",
            "4m": "RedisSentinelFailoverHappened queue info, RedisSentinelQuorumLost queue critical",
        },
    ),
    Case(
        "a Sentinel of a followed set names another master",
        {f"@redis_sentinel_disagreeing{{{SET}}}": "0x3 1x40"},
        {"5m": "", "6m30s": "RedisSentinelsDisagree warning"},
    ),
    Case(
        "a followed set is well, and its Sentinels disagreed during a failover",
        {
            f"@redis_sentinel_failovers_total{{{SET}}}": "1x80",
            f"@redis_sentinel_quorum_ok{{{SET}}}": "1x80",
            f"@redis_sentinel_disagreeing{{{SET}}}": "0x3 1x4 0x40",
        },
        {"2m15s": "", "6m30s": ""},
    ),
    Case(
        "a node of a followed cluster has failed, which was the only replica of a shard; and a node sees it otherwise",
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
        "a cluster that is meant to have no replicas, and a node that cannot be reached by one other",
        {
            '@redis_cluster_topology_nodes{cluster="shop", role="master", state="pfail"}': "1x100",
            '@redis_cluster_topology_shard_replicas{cluster="shop", shard="0"}': "0x100",
            '@redis_cluster_topology_shard_replicas{cluster="shop", shard="5461"}': "0x100",
            '@redis_cluster_topology_disagreeing_nodes{cluster="shop"}': "0x100",
        },
        {"17m": ""},
    ),
]
