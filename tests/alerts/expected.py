"""The alerts that each fault must raise. This is the hand-written side of the matrix.

A row is fault → location → alerts. A location is the name of a target, a replication group, an exporter, or a job.
``inhibited`` are the alerts that Alertmanager does not send, because they are consequences of another alert.
``causes`` are the locations that stall, with the causes that are right. The cause ``unknown`` is never wrong.
"""

from collections.abc import Mapping
from typing import NamedTuple

from grafana.rules import page
from grafana.rules.settings import Settings

NAMES = [alert.name for alert in page.alerts(Settings())]
#: Alerts with two severities. Their names get the severity here: ``RedisMemoryNearMaxmemory/critical``.
TWO_SEVERITIES = {name for name in NAMES if NAMES.count(name) > 1}

ERRORS, LATENCY = (
    {f"Redis{budget}BudgetBurn{speed}" for speed in ("Fast", "Slow", "Ticket")} for budget in ("Error", "Latency")
)
SLOW_LATENCY = {"RedisLatencyBudgetBurnSlow", "RedisLatencyBudgetBurnTicket"}
#: Pings fail for a long time, for any reason. These alerts are also consequences of a server that is down.
CONSEQUENCES = ERRORS | LATENCY | {"RedisProbeFailureRateHigh"}
FAILING = CONSEQUENCES | {"RedisTargetDown"}
DOWN = FAILING | {"RedisCircuitBreakerOpen"}
INHIBITED_BY_DOWN = CONSEQUENCES | {"RedisCircuitBreakerOpen"}
FULL = {f"RedisMemoryNearMaxmemory/{severity}" for severity in ("warning", "critical")}
EXPIRING = {f"RedisTLSCertificateExpiring/{severity}" for severity in ("warning", "critical")}
CLUSTER = {"RedisClusterDown", "RedisClusterSlotsFailing"}
STALLS = {"RedisStalls"}
NOT_SAVED = {"RedisErrorRepliesMISCONF", "RedisBackupStale"}

AlertsByLocation = dict[str, set[str]]


class ExpectedAlerts(NamedTuple):
    """The alerts that fire in each location, those of them that are inhibited, and the causes of stalls."""

    fires: AlertsByLocation
    inhibited: AlertsByLocation = {}  # noqa: RUF012 - it is never changed
    causes: Mapping[str, set[str]] = {}


# fmt: off
# ruff: noqa: E501 - a row is one line
EXPECTED: dict[str, ExpectedAlerts] = {
    "killed": ExpectedAlerts({"killed": DOWN}, {"killed": INHIBITED_BY_DOWN}),
    "hung (SIGSTOP)": ExpectedAlerts({"hung": DOWN}, {"hung": INHIBITED_BY_DOWN}, {"hung": {"not_running"}}),
    "restarted and loading its dataset": ExpectedAlerts({"loading": DOWN | {"RedisRestarted"}}, {"loading": INHIBITED_BY_DOWN}, {"loading": {"loading"}}),
    "wrong password": ExpectedAlerts({"password": FAILING | {"RedisAuthFailing"}}, {"password": FAILING}),
    "login cannot be renewed": ExpectedAlerts({"login": {"RedisCredentialsNotRenewed"}}),
    "ACL allows no commands": ExpectedAlerts({"acl": FAILING | {"RedisAuthFailing"}}, {"acl": FAILING}),
    "ACL forbids INFO": ExpectedAlerts({"acl-info": {"RedisCollectorFailing", "RedisSamplesStale"}}, {"acl-info": {"RedisSamplesStale"}}),
    "TLS certificate expired": ExpectedAlerts({"tls-expired": DOWN}, {"tls-expired": INHIBITED_BY_DOWN}),
    "TLS certificate expires in 6 days": ExpectedAlerts({"tls-expiring": EXPIRING}, {"tls-expiring": {"RedisTLSCertificateExpiring/warning"}}),
    "latency +5 ms, SLO edge at 100 ms": ExpectedAlerts({"latency-5ms": set()}),
    # A proxy delays the pings. It takes them at once, as a server that does not run.
    "latency +150 ms, SLO edge at 100 ms": ExpectedAlerts({"latency-150ms": LATENCY | STALLS}, {"latency-150ms": SLOW_LATENCY}, {"latency-150ms": {"network", "not_running"}}),
    "slow commands, 0.6 s each": ExpectedAlerts({"slow-commands": LATENCY | STALLS}, {"slow-commands": SLOW_LATENCY}, {"slow-commands": {"command"}}),
    "process stopped for 0.6 s, again and again": ExpectedAlerts({"stops": SLOW_LATENCY | STALLS}, {"stops": {"RedisLatencyBudgetBurnTicket"}}, {"stops": {"not_running"}}),
    "2 % of the pings fail": ExpectedAlerts({"two-percent": ERRORS}, {"two-percent": ERRORS - {"RedisErrorBudgetBurnFast"}}),
    "restart within a second": ExpectedAlerts({"restart": {"RedisRestarted"}}),
    "memory full, noeviction": ExpectedAlerts({"full": FULL | {"RedisErrorRepliesOOM"}}, {"full": FULL}),
    "cache too small, keys are evicted": ExpectedAlerts({"cache": {"RedisEvicting"}}),
    "maxclients reached": ExpectedAlerts({"crowded": {"RedisConnectionsNearLimit", "RedisConnectionsRejected"}}, {"crowded": {"RedisConnectionsNearLimit"}}),
    "clients use a key of the wrong type (WRONGTYPE)": ExpectedAlerts({"wrongtype": {"RedisErrorReplies"}}),
    "clients write to a replica": ExpectedAlerts({"readonly": {"RedisErrorRepliesREADONLY"}}),
    # A server that cannot save replies MISCONF to PING too.
    "snapshots fail": ExpectedAlerts({"rdb": FAILING | NOT_SAVED | {"RedisPersistenceFailing"}}, {"rdb": CONSEQUENCES | NOT_SAVED}),
    "append-only file cannot be rewritten": ExpectedAlerts({"aof": {"RedisPersistenceFailing"}}),
    "unsaved changes, no snapshot for a long time": ExpectedAlerts({"backup": {"RedisBackupStale"}}),
    "one key of 20 MB among small ones": ExpectedAlerts({"huge-key": {"RedisKeyTooLarge"}}),
    "a tenth of the sessions never expires": ExpectedAlerts({"forever": {"RedisKeysWithoutExpiry"}}),
    "keys of one pattern are added without end": ExpectedAlerts({"growing": {"RedisKeyPatternFillsMemory"}}),
    "all commands use one slot": ExpectedAlerts({"hot-slot": {"RedisSlotHot"}}),
    "replica link cut": ExpectedAlerts({"link-master": set(), "link-replica": {"RedisReplicationLinkDown"}}),
    "replica lagging": ExpectedAlerts({"lag-master": {"RedisReplicationLagSeconds", "RedisReplicationLagBytes"}}),
    "full resync storm": ExpectedAlerts({"storm-master": {"RedisFullResyncStorm"}}),
    "master killed and not replaced": ExpectedAlerts(
        {"orphans": {"RedisNoMaster"}, "lost-master": DOWN, "orphan": {"RedisReplicationLinkDown"}}, {"lost-master": INHIBITED_BY_DOWN},
    ),
    "two masters": ExpectedAlerts({"brains": {"RedisSplitBrain"}, "brain-1": set(), "brain-2": {"RedisRoleChanged"}}),
    "failover by Sentinel": ExpectedAlerts(
        {"failover-1": {"RedisRoleChanged"}, "failover-2": {"RedisRoleChanged"}, "failover-sentinel": {"RedisSentinelFailoverHappened"}},
    ),
    "master of Sentinel down, without a replica": ExpectedAlerts({"doomed-sentinel": {"RedisSentinelMasterObjectivelyDown"}}),
    "too few Sentinels for the quorum": ExpectedAlerts({"lonely-sentinel": {"RedisSentinelQuorumLost"}}),
    "full resynchronisation stuck": ExpectedAlerts({"stuck-replica": {"RedisFullSyncStuck"}}),
    "cluster slot lost": ExpectedAlerts(
        {f"slots-{number}": CLUSTER for number in range(3)}, {f"slots-{number}": {"RedisClusterSlotsFailing"} for number in range(3)},
    ),
    "slot migration stuck": ExpectedAlerts({"migration": {"RedisSlotMigrationStuck"}}),
    "cluster node failed, full coverage not required": ExpectedAlerts(
        {"nodes-0": {"RedisClusterSlotsFailing"}, "nodes-1": {"RedisClusterSlotsFailing"}, "nodes-2": DOWN}, {"nodes-2": INHIBITED_BY_DOWN},
    ),
    "exporter killed": ExpectedAlerts({"exporter-killed": {"RedisExporterDown"}, "of-killed": set()}),
    "exporter starved of CPU": ExpectedAlerts({"exporter-starved": {"RedisProbeScheduleLate"}, "of-starved": CONSEQUENCES}, {"of-starved": CONSEQUENCES}, {"exporter-starved": {"exporter"}}),
    "configuration rejected": ExpectedAlerts({"exporter-refused": {"RedisExporterReloadFailed"}, "of-refused": set()}),
    "web configuration file is broken": ExpectedAlerts({"exporter-insecure": {"RedisExporterWebConfigInvalid"}, "of-insecure": set()}),
    "exporter removed from the configuration of Prometheus": ExpectedAlerts({"redis-pulse-gone": {"RedisExporterAbsent"}, "of-gone": set()}),
}
# fmt: on
