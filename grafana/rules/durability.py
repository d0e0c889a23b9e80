"""Alerts: persistence, certificates, restarts and changed roles."""

from collections.abc import Iterator

from grafana.rules.rule import ON_TARGET, Alert, Group, unless_moved
from grafana.rules.settings import Settings, seconds
from grafana.rules.slo import burned_fast


def alerts(settings: Settings) -> tuple[Group, ...]:
    """Return the alerts on persistence and certificates, then a group of informational alerts."""
    return (
        Group("redis-pulse-durability", (*_persistence(settings), *_certificates())),
        Group("redis-pulse-news", tuple(_news(settings))),
    )


def _persistence(settings: Settings) -> Iterator[Alert]:
    parts = (
        ("redis_rdb_last_bgsave_status", "snapshot (RDB)"),
        ("redis_aof_last_write_status", "write to the append-only file"),
        ("redis_aof_last_bgrewrite_status", "rewrite of the append-only file"),
    )
    failing = "\nor\n".join(f'label_replace({metric} == 0, "what", "{what}", "", "")' for metric, what in parts)
    yield Alert(
        name="RedisPersistenceFailing",
        idea="the last snapshot, the last write to the append-only file, or its last rewrite failed",
        expr=failing,
        wait="5m",
        severity="critical",
        summary="Redis server {{ $labels.target }} cannot save: its last {{ $labels.what }} failed",
        description=(
            "If {{ $labels.target }} stops now, it loses all writes since then. With stop-writes-on-bgsave-error it "
            "refuses writes (MISCONF)."
        ),
    )
    yield Alert(
        name="RedisBackupStale",
        idea=(
            f"the last snapshot is older than {settings.backup_age}, there are changes, and snapshots were written "
            f"before"
        ),
        why=(
            "Only for servers with configured saves. INFO does not report that, but a server that wrote a snapshot "
            "since its start does save (rdb_saves, Redis 7.0 and later). Without changes there is nothing to save."
        ),
        expr=f"""
            time() - redis_rdb_last_save_timestamp_seconds > {seconds(settings.backup_age):g}
            and redis_rdb_changes_since_last_save > 0
            and redis_rdb_snapshots_total > 0
        """,
        wait="5m",
        severity="warning",
        summary="The last snapshot of Redis server {{ $labels.target }} is {{ $value | humanizeDuration }} old",
        description=(
            "{{ $labels.target }} wrote snapshots after its start, but none for {{ $value | humanizeDuration }}."
        ),
    )


def _certificates() -> Iterator[Alert]:
    left = "redis_tls_certificate_expiry_timestamp_seconds - time()"
    for severity, days in (("warning", 21), ("critical", 7)):
        yield Alert(
            name="RedisTLSCertificateExpiring",
            idea=f"the certificate expires in less than {days} days",
            expr=f"{left} < {days} * 86400",
            wait="1h",
            severity=severity,  # type: ignore[arg-type]
            summary="The certificate of Redis server {{ $labels.target }} expires in {{ $value | humanizeDuration }}",
            description=(
                "After it has expired, clients that check certificates can no longer connect to {{ $labels.target }}."
            ),
        )
    reported = (
        f'label_replace(redis_tls_{certificate}_cert_expires_in_seconds, "certificate", "{certificate}", "", "")'
        for certificate in ("server", "client", "ca")
    )
    all_reported = "\n              or ".join(reported)
    yield Alert(
        name="RedisServerCertificateExpiring",
        idea="the server reports that one of its certificates expires in less than 14 days (Valkey 9.1 and later)",
        why=(
            "The exporter sees the certificate that the server shows to clients, if it connects with TLS. The server "
            "also reports those that it shows to its master and to other nodes, and its certificate authority."
        ),
        expr=f"""
            (
                 {all_reported}
            ) < 14 * 86400
        """,
        wait="1h",
        severity="warning",
        summary=(
            "The {{ $labels.certificate }} certificate of Redis server {{ $labels.target }} expires in {{ $value | "
            "humanizeDuration }}"
        ),
        description=(
            "After it has expired, {{ $labels.target }} refuses or loses connections that check it: of clients, of "
            "replicas or of other nodes."
        ),
    )


def _news(settings: Settings) -> Iterator[Alert]:
    span = settings.window("15m")
    yield Alert(
        name="RedisRestarted",
        idea="the uptime fell within 15 minutes, and the outage was too short for RedisErrorBudgetBurnFast",
        why=(
            "Not `changes()` of a start time: a start time that is computed from the uptime varies by a second. An "
            "outage that another alert reports is not reported twice."
        ),
        expr=f"""
            resets(redis_uptime_in_seconds[{span}]) > 0 {unless_moved(span)}
            unless {ON_TARGET} (
                {burned_fast(settings)}
            )
        """,
        severity="info",
        summary="Redis server {{ $labels.target }} has restarted",
        description="{{ $labels.target }} was started again within the last 15 minutes. Was that intended?",
    )
    yield Alert(
        name="RedisRoleChanged",
        idea="a server became a master or a replica within 15 minutes",
        expr=f'changes(redis_role{{role="master"}}[{span}]) > 0',
        severity="info",
        summary="Redis server {{ $labels.target }} has changed its role",
        description=(
            "{{ $labels.target }} became a master or a replica within the last 15 minutes. The cause is a failover "
            "or an operator."
        ),
    )
