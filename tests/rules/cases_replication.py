"""Cases about the masters of a replication group, links, lag and full resynchronisations."""

from tests.rules.case import Case

GROUP = 'replication_group="shop"'
MASTER, REPLICA = 'redis_role{role="master"}', 'redis_role{role="slave"}'
LINK = 'master_host="10.0.0.1", master_port="6379"'


def member(name: str, up: str, master: str, group: str = GROUP) -> dict[str, str]:
    """Return the series of a server in a group. ``up`` and ``master`` are the values of these series."""
    info = f"redis_target_info{{{group}}}" if group else "redis_target_info"
    return {
        f"{info} {name}": "1x60",
        f"redis_up {name}": up,
        f"{MASTER} {name}": master,
        f"redis_cluster_enabled {name}": "0x60",
    }


CASES = [
    Case(
        "master is demoted and not replaced",
        {**member("one", "1x60", "1x3 0x57"), **member("two", "1x60", "0x60")},
        {"2m30s": "RedisRoleChanged one info", "4m": "RedisNoMaster critical, RedisRoleChanged one info"},
    ),
    Case(
        "server that is down is no master, in spite of its last role",
        {**member("one", "1x3 0x57", "1x60"), **member("two", "1x60", "0x60")},
        {"4m": "RedisNoMaster critical, RedisTargetDown one critical"},
    ),
    Case(
        "names of a Sentinel set form a group",
        {**member("queue/master", "1x3 0x57", "1x3 _x57", ""), **member("queue/replica-1", "1x60", "0x60", "")},
        {"4m": "RedisNoMaster critical, RedisTargetDown queue/master critical"},
    ),
    Case(
        "fast failover and single servers raise no alert about masters",
        {
            **member("one", "1x60", "1x3 0x57"),
            **member("two", "1x60", "0x6 1x54"),
            **member("alone", "1x60", "1x60", ""),
            **member("replica", "1x60", "0x60", ""),
        },
        {
            "2m": "RedisRoleChanged one info, RedisRoleChanged two info",
            "5m": "RedisRoleChanged one info, RedisRoleChanged two info",
        },
    ),
    Case(
        "two masters in one group",
        {**member("one", "1x60", "1x60"), **member("two", "1x60", "0x3 1x57")},
        {"2m30s": "RedisRoleChanged two info", "4m": "RedisRoleChanged two info, RedisSplitBrain critical"},
    ),
    Case(
        "two groups have one master each",
        {**member("one", "1x60", "1x60"), **member("two", "1x60", "1x60", 'replication_group="other"')},
        {"5m": ""},
    ),
    Case(
        "masters of a cluster in one group are correct",
        {
            **member("one", "1x60", "1x60"),
            **member("two", "1x60", "1x60"),
            "redis_cluster_enabled one": "1x60",
            "redis_cluster_enabled two": "1x60",
        },
        {"5m": ""},
    ),
    Case(
        "replica has no link to its master",
        {f"redis_master_link_up{{{LINK}}}": "1x3 0x40", f"redis_master_sync_in_progress{{{LINK}}}": "0x43"},
        {"5m": "", "6m30s": "RedisReplicationLinkDown cart critical"},
    ),
    Case(
        "replica receives its dataset for ten minutes",
        {
            f"redis_master_link_up{{{LINK}}}": "1x3 0x40 1x40",
            f"redis_master_sync_in_progress{{{LINK}}}": "0x3 1x40 0x40",
        },
        {"6m30s": "", "10m": "", "15m": ""},
    ),
    Case(
        "replica waits for its dataset, and nothing arrives",
        {
            f"redis_master_link_up{{{LINK}}}": "1x3 0x120",
            f"redis_master_sync_in_progress{{{LINK}}}": "0x3 1x120",
            f"redis_master_sync_left_bytes{{{LINK}}}": "_x4 1000x120",
            "redis_loading_dump_file": "0x123",
        },
        {"10m": "", "12m": "RedisFullSyncStuck cart warning"},
    ),
    Case(
        "replica starts to receive its dataset again and again, and nothing arrives",
        {
            f"redis_master_link_up{{{LINK}}}": "1x3 0x120",
            f"redis_master_sync_in_progress{{{LINK}}}": "0x3" + " 1x8 0x1" * 12,
            f"redis_master_sync_left_bytes{{{LINK}}}": "_x3" + " 1000x8 _x1" * 12,
        },
        {"10m": "", "12m": "RedisFullSyncStuck cart warning"},
    ),
    Case(
        "replica receives a large dataset for half an hour, and loads it for half an hour",
        {
            f"redis_master_link_up{{{LINK}}}": "1x3 0x240 1x20",
            f"redis_master_sync_in_progress{{{LINK}}}": "0x3 1x240 0x20",
            f"redis_master_sync_left_bytes{{{LINK}}}": "_x4 120000-1000x119 0x120",
            "redis_loading_dump_file": "0x123 1x120 0x20",
        },
        {"15m": "", "29m": "", "45m": "", "60m": "", "64m": ""},
    ),
    Case(
        "six full resynchronisations within half an hour",
        {"redis_replica_full_resyncs_total": "2x10 3x5 4x5 5x5 6x5 7x5 8x60"},
        {"10m": "", "31m": "", "40m": "RedisFullResyncStorm cart warning", "1h35m": ""},
        step="1m",
    ),
    Case(
        "three new replicas",
        {"redis_replica_full_resyncs_total": "2x10 3x5 4x5 5x60"},
        {"30m": "", "50m": ""},
        step="1m",
    ),
    Case(
        "replica lags by 100 MB for some minutes",
        {'redis_replica_lag_bytes{slave_ip="10.0.0.2", slave_port="6379"}': "0x3 100000000x40"},
        {"5m": "", "6m30s": "RedisReplicationLagBytes cart warning"},
    ),
    Case(
        "replica lags by 1 MB, or by 100 MB for a minute",
        {
            'redis_replica_lag_bytes{slave_ip="10.0.0.2", slave_port="6379"}': "1000000x50",
            'redis_replica_lag_bytes{slave_ip="10.0.0.3", slave_port="6379"}': "0x3 100000000x4 0x40",
        },
        {"2m": "", "6m30s": ""},
    ),
    Case(
        "replica sends no acknowledgements",
        {'redis_replica_lag_seconds{slave_ip="10.0.0.2", slave_port="6379"}': "0x3 30x40"},
        {"5m": "", "6m30s": "RedisReplicationLagSeconds cart warning"},
    ),
    Case(
        "replica acknowledges, but only the canary shows a delay of 30 s",
        {
            'redis_replica_lag_seconds{slave_ip="10.0.0.2", slave_port="6379"}': "0x43",
            'redis_replication_delay_seconds{replica="two"}': "0x3 30x40",
        },
        {"5m": "", "6m30s": "RedisReplicationLagSeconds cart warning"},
    ),
    Case(
        "replicas lag by a second",
        {
            'redis_replica_lag_seconds{slave_ip="10.0.0.2", slave_port="6379"}': "1x43",
            'redis_replication_delay_seconds{replica="two"}': "1.2x43",
        },
        {"6m30s": ""},
    ),
]
