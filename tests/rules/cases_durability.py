"""Cases about snapshots, append-only files, certificates, restarts and changed roles."""

from tests.rules.case import Case

DAY = 86400
LAST_SAVE, CHANGES, SNAPSHOTS = (
    f"redis_rdb_{name}" for name in ("last_save_timestamp_seconds", "changes_since_last_save", "snapshots_total")
)
EXPIRY = "redis_tls_certificate_expiry_timestamp_seconds"

CASES = [
    Case(
        "last snapshot failed",
        {"redis_rdb_last_bgsave_status": "1x3 0x40"},
        {"5m": "", "6m30s": "RedisPersistenceFailing cart critical"},
    ),
    Case(
        "append-only file cannot be written",
        {"redis_rdb_last_bgsave_status": "1x43", "redis_aof_last_write_status": "1x3 0x40"},
        {"5m": "", "6m30s": "RedisPersistenceFailing cart critical"},
    ),
    Case(
        "append-only file cannot be rewritten",
        {"redis_aof_last_write_status": "1x43", "redis_aof_last_bgrewrite_status": "1x3 0x40"},
        {"5m": "", "6m30s": "RedisPersistenceFailing cart critical"},
    ),
    Case(
        "one snapshot failed, but the next one succeeded",
        {"redis_rdb_last_bgsave_status": "1x3 0x8 1x40", "redis_aof_last_write_status": "1x51"},
        {"4m": "", "6m30s": ""},
    ),
    # The time is 0 at the start of each case.
    Case(
        "no snapshot for more than a day in spite of unsaved changes",
        {LAST_SAVE: "0x400", CHANGES: "5x400", SNAPSHOTS: "3x400"},
        {"23h": "", "24h5m": "", "25h": "RedisBackupStale cart warning"},
        step="5m",
    ),
    Case(
        "servers without changes or without any snapshot raise no alert",
        {
            LAST_SAVE: "0x400",
            CHANGES: "0x400",
            SNAPSHOTS: "3x400",
            f"{LAST_SAVE} cache": "0x400",
            f"{CHANGES} cache": "5x400",
            f"{SNAPSHOTS} cache": "0x400",
        },
        {"25h": ""},
        step="5m",
    ),
    Case(
        "certificate expires in 20 days",
        {EXPIRY: f"{20 * DAY}x100"},
        {"50m": "", "65m": "RedisTLSCertificateExpiring cart warning"},
        step="1m",
    ),
    Case(
        "certificate expires in 6 days",
        {EXPIRY: f"{6 * DAY}x100"},
        {"50m": "", "65m": "RedisTLSCertificateExpiring cart warning, RedisTLSCertificateExpiring cart critical"},
        step="1m",
    ),
    Case(
        "server reports certificates that expire in 13 days, one of them",
        {
            "redis_tls_server_cert_expires_in_seconds": f"{300 * DAY}x100",
            "redis_tls_client_cert_expires_in_seconds": f"{13 * DAY}x100",
            "redis_tls_ca_cert_expires_in_seconds": f"{3000 * DAY}x100",
            "redis_tls_server_cert_expires_in_seconds expired": "-60-60x100",
        },
        {
            "50m": "",
            "65m": "RedisServerCertificateExpiring cart warning, RedisServerCertificateExpiring expired warning",
        },
        step="1m",
    ),
    Case(
        "server reports that its certificates expire in 15 days",
        {
            "redis_tls_server_cert_expires_in_seconds": f"{15 * DAY}x100",
            "redis_tls_ca_cert_expires_in_seconds": f"{15 * DAY}x100",
        },
        {"65m": ""},
        step="1m",
    ),
    Case("certificate expires in 30 days", {EXPIRY: f"{30 * DAY}x100"}, {"65m": ""}, step="1m"),
    Case(
        "restart is reported for a quarter of an hour",
        {"redis_uptime_in_seconds": "1000+15x8 _x2 3+15x100"},
        {"2m": "", "3m": "RedisRestarted cart info", "16m": "RedisRestarted cart info", "19m": ""},
    ),
    Case(
        "restart whose outage is reported by a page is not reported again",
        {
            "redis_uptime_in_seconds": "1000+15x8 _x2 3+15x100",
            "target:redis_availability_slo:burn_rate1h": "0x8 16x100",
            "target:redis_ping_failures:rate1h": "0x8 0.0166x100",
        },
        {"3m": "", "10m": "", "16m": ""},
    ),
    Case(
        "start time that varies by a second is no restart",
        {"redis_uptime_in_seconds": "1000+15x60", "redis_start_time_seconds": "100 101 100 101 100 101 100 101x50"},
        {"2m": "", "10m": ""},
    ),
    Case(
        "replica becomes master",
        {'redis_role{role="master"}': "0x8 1x80", 'redis_role{role="slave"}': "1x8 0x80"},
        {"1m45s": "", "2m15s": "RedisRoleChanged cart info", "18m": ""},
    ),
    Case(
        "master that is down for a moment keeps its role",
        {'redis_role{role="master"}': "1x8 _x4 1x80", 'redis_role{role="slave"}': "0x8 _x4 0x80"},
        {"2m15s": "", "4m": "", "10m": ""},
    ),
    Case(
        "different uptime after a failover to another server is no restart",
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
