"""Recorded series for common queries: quantiles, mean command time, hit ratio, saturation.

If several exporters watch one server, each has its own series. No averages over exporters are recorded.
"""

from grafana.rules.rule import BY_TARGET, Group, Record
from grafana.rules.settings import Settings


def records(settings: Settings) -> Group:
    """Return the group. A ratio has no value where its denominator is 0 or missing."""
    span = settings.window("5m")
    bucket = f'redis_operation_duration_seconds_bucket{{operation="ping"}}[{span}]'
    buckets = f"sum by (job, instance, target, le) (rate({bucket}))"
    hits, misses = (f"rate(redis_keyspace_{name}_total[{span}])" for name in ("hits", "misses"))
    spent = f"sum {BY_TARGET} (rate(redis_commands_duration_seconds_total[{span}]))"
    calls = f"sum {BY_TARGET} (rate(redis_commands_total[{span}]))"
    cpu = " + ".join(f"rate(redis_cpu_{kind}_main_thread_seconds_total[{span}])" for kind in ("sys", "user"))
    rules = (
        *(
            Record(f"target:redis_ping_duration_seconds:p{name}_rate5m", f"histogram_quantile({quantile}, {buckets})")
            for name, quantile in (("50", 0.5), ("90", 0.9), ("99", 0.99))
        ),
        Record("target:redis_commands_duration_seconds:rate5m", spent),
        Record("target:redis_commands:rate5m", calls),
        Record(
            "target:redis_commands_duration_seconds:mean_rate5m",
            "target:redis_commands_duration_seconds:rate5m / (target:redis_commands:rate5m > 0)",
        ),
        Record("target:redis_keyspace_hits:rate5m", hits),
        Record("target:redis_keyspace_lookups:rate5m", f"{hits} + {misses}"),
        Record(
            "target:redis_keyspace_hits_per_lookups:ratio_rate5m",
            "target:redis_keyspace_hits:rate5m / (target:redis_keyspace_lookups:rate5m > 0)",
        ),
        Record(
            "job:redis_keyspace_hits_per_lookups:ratio_rate5m",
            "sum by (job) (target:redis_keyspace_hits:rate5m) / (sum by (job) (target:redis_keyspace_lookups:rate5m) "
            "> 0)",
        ),
        Record("target:redis_memory_used_per_max:ratio", "redis_memory_used_bytes / (redis_memory_max_bytes > 0)"),
        Record("target:redis_clients_connected_per_max:ratio", "redis_connected_clients / (redis_max_clients > 0)"),
        Record("target:redis_main_thread_cpu_seconds:rate5m", cpu),
    )
    return Group("redis-pulse-records", rules)
