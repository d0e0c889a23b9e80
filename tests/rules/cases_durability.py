"""Snapshots, append-only file, certificates; restarts and changed roles, which are news."""

from tests.rules.case import Case

DAY = 86400
SAVED, CHANGES, WRITTEN = (
    f"redis_rdb_{name}" for name in ("last_save_timestamp_seconds", "changes_since_last_save", "snapshots_total")
)
EXPIRY = "redis_tls_certificate_expiry_timestamp_seconds"

CASES = [
    Case(
        "the last snapshot failed",
        {"redis_rdb_last_bgsave_status": "1x3 0x40"},
        {"5m": "", "6m30s": "RedisPersistenceFailing cart critical"},
    ),
    Case(
        "the append-only file cannot be written",
        {"redis_rdb_last_bgsave_status": "1x43", "redis_aof_last_write_status": "1x3 0x40"},
        {"5m": "", "6m30s": "RedisPersistenceFailing cart critical"},
    ),
    Case(
        "the append-only file cannot be rewritten",
        {"redis_aof_last_write_status": "1x43", "redis_aof_last_bgrewrite_status": "1x3 0x40"},
        {"5m": "", "6m30s": "RedisPersistenceFailing cart critical"},
    ),
    Case(
        "a snapshot failed, and the next one did not",
        {"redis_rdb_last_bgsave_status": "1x3 0x8 1x40", "redis_aof_last_write_status": "1x51"},
        {"4m": "", "6m30s": ""},
    ),
    # Time is 0 at the start of each case.
    Case(
        "no snapshot for more than a day, and there is something to save",
        {SAVED: "0x400", CHANGES: "5x400", WRITTEN: "3x400"},
        {"23h": "", "24h5m": "", "25h": "RedisBackupStale cart warning"},
        step="5m",
    ),
    Case(
        "no changes, or no snapshot ever: saving is off, or has nothing to do",
        {
            SAVED: "0x400",
            CHANGES: "0x400",
            WRITTEN: "3x400",
            f"{SAVED} cache": "0x400",
            f"{CHANGES} cache": "5x400",
            f"{WRITTEN} cache": "0x400",
        },
        {"25h": ""},
        step="5m",
    ),
    Case(
        "a certificate expires in 20 days",
        {EXPIRY: f"{20 * DAY}x100"},
        {"50m": "", "65m": "RedisTLSCertificateExpiring cart warning"},
        step="1m",
    ),
    Case(
        "a certificate expires in 6 days",
        {EXPIRY: f"{6 * DAY}x100"},
        {"50m": "", "65m": "RedisTLSCertificateExpiring cart warning, RedisTLSCertificateExpiring cart critical"},
        step="1m",
    ),
    Case("a certificate expires in 30 days", {EXPIRY: f"{30 * DAY}x100"}, {"65m": ""}, step="1m"),
    Case(
        "a server has restarted, which is told for a quarter of an hour",
        {"redis_uptime_in_seconds": "1000+15x8 _x2 3+15x100"},
        {"2m": "", "3m": "RedisRestarted cart info", "16m": "RedisRestarted cart info", "19m": ""},
    ),
    Case(
        "a server runs on, and its start wobbles by a second",
        {"redis_uptime_in_seconds": "1000+15x60", "redis_start_time_seconds": "100 101 100 101 100 101 100 101x50"},
        {"2m": "", "10m": ""},
    ),
    Case(
        "a replica has become master",
        {'redis_role{role="master"}': "0x8 1x80", 'redis_role{role="slave"}': "1x8 0x80"},
        {"1m45s": "", "2m15s": "RedisRoleChanged cart info", "18m": ""},
    ),
    Case(
        "a master was away for a while and is master again",
        {'redis_role{role="master"}': "1x8 _x4 1x80", 'redis_role{role="slave"}': "0x8 _x4 0x80"},
        {"2m15s": "", "4m": "", "10m": ""},
    ),
    Case(
        "a name went to another server in a failover: its uptime is another one, and that is no restart",
        {
            "redis_uptime_in_seconds queue/master": "9000+15x8 3000+15x80",
            'redis_target_info{address="10.0.0.1:6379"} queue/master': "1x8 stale",
            'redis_target_info{address="10.0.0.2:6379"} queue/master': "_x9 1x80",
            "redis_rejected_connections_total queue/master": "1x8 9x80",
            "redis_replica_full_resyncs_total queue/master": "0x8 9x80",
        },
        {"2m30s": "", "10m": ""},
    ),
]
