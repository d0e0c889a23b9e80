"""What each fault must raise, and nothing else: the hand-written side of the matrix.

A row is: fault → place → alerts. A place is the name of a target, of a replication group, of an exporter, or of a job.
``inhibited`` is what Alertmanager keeps to itself of it, because it follows from another alert.
"""

from typing import NamedTuple

from grafana.rules import page
from grafana.rules.settings import Settings

NAMES = [alert.name for alert in page.alerts(Settings())]
#: Alerts with two severities are told apart by it: ``RedisMemoryNearMaxmemory/critical``.
TWICE = {name for name in NAMES if NAMES.count(name) > 1}

ERRORS, LATENCY = (
    {f"Redis{budget}BudgetBurn{speed}" for speed in ("Fast", "Slow", "Ticket")} for budget in ("Error", "Latency")
)
SLOWER = {"RedisLatencyBudgetBurnSlow", "RedisLatencyBudgetBurnTicket"}
#: Pings fail, for whatever reason, for long; what follows from a server that is down.
CONSEQUENCES = ERRORS | LATENCY | {"RedisProbeFailureRateHigh"}
FAILING = CONSEQUENCES | {"RedisTargetDown"}
DOWN = FAILING | {"RedisCircuitBreakerOpen"}
QUIET = CONSEQUENCES | {"RedisCircuitBreakerOpen"}
FULL = {f"RedisMemoryNearMaxmemory/{severity}" for severity in ("warning", "critical")}
EXPIRING = {f"RedisTLSCertificateExpiring/{severity}" for severity in ("warning", "critical")}
CLUSTER = {"RedisClusterDown", "RedisClusterSlotsFailing"}
NOT_SAVED = {"RedisErrorRepliesMISCONF", "RedisBackupStale"}

Places = dict[str, set[str]]


class Row(NamedTuple):
    """What fires by place, and what of it is inhibited."""

    fires: Places
    inhibited: Places = {}  # noqa: RUF012 - nobody writes into it


# fmt: off
# ruff: noqa: E501 - a row is one line
EXPECTED: dict[str, Row] = {
    "killed": Row({"killed": DOWN}, {"killed": QUIET}),
    "hung (SIGSTOP)": Row({"hung": DOWN}, {"hung": QUIET}),
    "restarted, and loading its dataset": Row({"loading": DOWN | {"RedisRestarted"}}, {"loading": QUIET}),
    "wrong password": Row({"password": FAILING | {"RedisAuthFailing"}}, {"password": FAILING}),
    "ACL taken away": Row({"acl": FAILING | {"RedisAuthFailing"}}, {"acl": FAILING}),
    "ACL without INFO": Row({"acl-info": {"RedisCollectorFailing", "RedisSamplesStale"}}, {"acl-info": {"RedisSamplesStale"}}),
    "TLS certificate expired": Row({"tls-expired": DOWN}, {"tls-expired": QUIET}),
    "TLS certificate expires in 6 days": Row({"tls-expiring": EXPIRING}, {"tls-expiring": {"RedisTLSCertificateExpiring/warning"}}),
    "latency +5 ms, the edge is at 100 ms": Row({"latency-5ms": set()}),
    "latency +150 ms, the edge is at 100 ms": Row({"latency-150ms": LATENCY}, {"latency-150ms": SLOWER}),
    "slow commands, 0.6 s each": Row({"slow-commands": LATENCY}, {"slow-commands": SLOWER}),
    "2 % of the pings fail": Row({"two-percent": ERRORS}, {"two-percent": ERRORS - {"RedisErrorBudgetBurnFast"}}),
    "restart within a second": Row({"restart": {"RedisRestarted"}}),
    "memory full, noeviction": Row({"full": FULL | {"RedisErrorRepliesOOM"}}, {"full": FULL}),
    "a cache that is too small, evicting": Row({"cache": {"RedisEvicting"}}),
    "maxclients reached": Row({"crowded": {"RedisConnectionsNearLimit", "RedisConnectionsRejected"}}, {"crowded": {"RedisConnectionsNearLimit"}}),
    "clients use a key wrongly (WRONGTYPE)": Row({"wrongtype": {"RedisErrorReplies"}}),
    "clients write to a replica": Row({"readonly": {"RedisErrorRepliesREADONLY"}}),
    # A server that cannot save answers MISCONF to PING, too.
    "snapshots fail": Row({"rdb": FAILING | NOT_SAVED | {"RedisPersistenceFailing"}}, {"rdb": CONSEQUENCES | NOT_SAVED}),
    "the append-only file cannot be rewritten": Row({"aof": {"RedisPersistenceFailing"}}),
    "changes, and no snapshot for long": Row({"backup": {"RedisBackupStale"}}),
    "replica link cut": Row({"link-master": set(), "link-replica": {"RedisReplicationLinkDown"}}),
    "replica lagging": Row({"lag-master": {"RedisReplicationLagSeconds", "RedisReplicationLagBytes"}}),
    "full resync storm": Row({"storm-master": {"RedisFullResyncStorm"}}),
    "no master: it was killed, and nobody takes over": Row(
        {"orphans": {"RedisNoMaster"}, "lost-master": DOWN, "orphan": {"RedisReplicationLinkDown"}}, {"lost-master": QUIET},
    ),
    "two masters": Row({"brains": {"RedisSplitBrain"}, "brain-1": set(), "brain-2": {"RedisRoleChanged"}}),
    "failover by Sentinel": Row(
        {"failover-1": {"RedisRoleChanged"}, "failover-2": {"RedisRoleChanged"}, "failover-sentinel": {"RedisSentinelFailoverHappened"}},
    ),
    "a master of Sentinel is down, and there is no replica": Row({"doomed-sentinel": {"RedisSentinelMasterObjectivelyDown"}}),
    "too few Sentinels for the quorum": Row({"lonely-sentinel": {"RedisSentinelQuorumLost"}}),
    "cluster slot lost": Row(
        {f"slots-{number}": CLUSTER for number in range(3)}, {f"slots-{number}": {"RedisClusterSlotsFailing"} for number in range(3)},
    ),
    "cluster node failed, full coverage not required": Row(
        {"nodes-0": {"RedisClusterSlotsFailing"}, "nodes-1": {"RedisClusterSlotsFailing"}, "nodes-2": DOWN}, {"nodes-2": QUIET},
    ),
    "exporter killed": Row({"exporter-killed": {"RedisExporterDown"}, "of-killed": set()}),
    "exporter starved of CPU": Row({"exporter-starved": {"RedisProbeScheduleLate"}, "of-starved": CONSEQUENCES}, {"of-starved": CONSEQUENCES}),
    "configuration refused": Row({"exporter-refused": {"RedisExporterReloadFailed"}, "of-refused": set()}),
    "exporter gone from the configuration of Prometheus": Row({"redis-pulse-gone": {"RedisExporterAbsent"}, "of-gone": set()}),
}
# fmt: on
