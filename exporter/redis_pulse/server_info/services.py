"""The managed services: how a server of each is recognised, and what the service forbids.

The forbidden commands are from the documentation of each service; ``docs/servers.md`` says which of it was tried.
The login of the target decides first, then its host name, then the fields of INFO.
"""
# ruff: noqa: E501 - one line per metric definition

from redis_pulse.metric import counter, gauge, msec, parse_number
from redis_pulse.server_info.profile import ServiceProfile

_BACKGROUND = frozenset({"BGREWRITEAOF", "BGSAVE", "DEBUG", "MIGRATE", "REPLICAOF", "SAVE", "SHUTDOWN", "SLAVEOF"})


def _percent(text: str) -> float | None:
    """Return a percentage as a ratio, or None if the server has no value."""
    value = parse_number(text)
    return None if value is None else value / 100


#: What Azure Cache for Redis measures; other servers have other fields.
# fmt: off
_AZURE_METRICS = (
    gauge("CPU", "server_load", "azure_server_load_ratio", "Load of the server, 1 if it cannot do more (Azure).", _percent),
    gauge("CPU", "used_cpu_avg_ms_per_sec", "azure_cpu_usage_ratio", "CPU time that the server uses, divided by the time that passes (Azure).", msec),
    gauge("Stats", "bytes_received_per_sec", "azure_received_bytes_per_second", "Bytes that the server receives in a second (Azure)."),
    gauge("Stats", "bytes_sent_per_sec", "azure_sent_bytes_per_second", "Bytes that the server sends in a second (Azure)."),
    counter("Stats", "total_oom_messages", "azure_oom_messages_total", "Replies that the memory is full (Azure)."),
)
# fmt: on

SERVICES: tuple[ServiceProfile, ...] = (
    ServiceProfile(
        name="elasticache-serverless",
        title="Amazon ElastiCache Serverless",
        hosts=("*.serverless.*.cache.amazonaws.com", "*.serverless.*.cache.amazonaws.com.cn"),
        not_offered=_BACKGROUND | {"CONFIG", "LATENCY", "MEMORY", "MODULE", "CLUSTER SLOT-STATS"},
        has_many_nodes=True,
    ),
    ServiceProfile(
        name="elasticache",
        title="Amazon ElastiCache",
        os="Amazon ElastiCache",
        hosts=("*.cache.amazonaws.com", "*.cache.amazonaws.com.cn"),
        not_offered=_BACKGROUND | {"CONFIG", "SYNC"},
    ),
    ServiceProfile(
        name="memorydb",
        title="Amazon MemoryDB",
        os="Amazon MemoryDB",
        hosts=("*.memorydb.*.amazonaws.com", "*.memorydb.*.amazonaws.com.cn"),
        not_offered=_BACKGROUND | {"CONFIG", "MODULE", "PSYNC", "SYNC"},
    ),
    ServiceProfile(
        name="azure-managed-redis",
        title="Azure Managed Redis",
        hosts=("*.redisenterprise.cache.azure.net", "*.redis.azure.net"),
        not_offered=_BACKGROUND | {"LATENCY LATEST", "ACL LOG", "ROLE", "MEMORY STATS"},
    ),
    ServiceProfile(
        name="azure-cache",
        title="Azure Cache for Redis",
        sign="server_load",
        hosts=("*.redis.cache.windows.net", "*.redis.cache.chinacloudapi.cn", "*.redis.cache.usgovcloudapi.net"),
        metrics=_AZURE_METRICS,
        not_offered=_BACKGROUND | {"CONFIG"},
    ),
    ServiceProfile(
        name="redis-cloud",
        title="Redis Cloud",
        hosts=("*.redis-cloud.com", "*.redislabs.com", "*.rlrcp.com"),
        not_offered=_BACKGROUND | {"LATENCY LATEST", "ACL LOG", "ROLE", "MEMORY STATS"},
    ),
    ServiceProfile(name="upstash", title="Upstash", software="upstash", hosts=("*.upstash.io",), has_many_nodes=True),
    ServiceProfile(
        name="aiven",
        title="Aiven",
        hosts=("*.aivencloud.com",),
        not_offered=_BACKGROUND | {"CLUSTER", "COMMAND", "ACL", "CONFIG", "LASTSAVE", "MONITOR", "ROLE", "FAILOVER"},
    ),
    ServiceProfile(name="digitalocean", title="DigitalOcean", hosts=("*.db.ondigitalocean.com",)),
    ServiceProfile(
        name="memorystore",
        title="Google Memorystore",
        not_offered=_BACKGROUND
        | {"ACL", "CONFIG", "LATENCY", "MEMORY", "MODULE", "MONITOR", "SCRIPT", "COMMANDLOG", "SLOWLOG", "LASTSAVE"},
    ),
)
