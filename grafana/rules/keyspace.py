"""Alerts: what fills a server (``keyspace_sample``), and which slot uses its CPU (``slot_stats``)."""

from collections.abc import Iterator

from grafana.rules.rule import ON_TARGET, Alert, Group
from grafana.rules.settings import Settings

_SAMPLE = "redis_keyspace_sample"
_KEYS = "on (job, instance, target, db, pattern, type)"


def alerts(settings: Settings) -> Group:
    """Return the alerts on patterns of keys, on single keys and on slots."""
    return Group("redis-pulse-keyspace", tuple(_rules(settings)))


def _rules(settings: Settings) -> Iterator[Alert]:
    window, memory, error = (
        settings.window(settings.fill_window),
        f"{_SAMPLE}_memory_bytes",
        f"{_SAMPLE}_memory_error_bytes",
    )
    days = settings.fill_days
    yield Alert(
        name="RedisKeyPatternFillsMemory",
        idea=(
            f"at the growth of {settings.fill_window}, one pattern of keys reaches maxmemory within {days:g} days, "
            "policy noeviction"
        ),
        why=(
            "Estimates from samples have an error. So the growth counts only if it is larger than the errors of both "
            "ends together. Where keys are evicted, a full memory is normal."
        ),
        expr=f"""
            (
              (
                  predict_linear({memory}[{window}], {settings.seconds("1d") * days:g})
                - {memory}
              )
              > {ON_TARGET} group_left ()
              ((redis_memory_max_bytes > 0) - redis_memory_used_bytes)
            )
            and
            (
                {memory} - {memory} offset {window}
              > {_KEYS}
                sqrt({error} ^ 2 + ({error} offset {window}) ^ 2)
            )
            and {ON_TARGET} redis_instance_info{{maxmemory_policy="noeviction"}}
        """,
        wait="1h",
        severity="warning",
        summary="Keys {{ $labels.pattern }} will fill Redis server {{ $labels.target }} within days",
        description=(
            "{{ $labels.type }} keys {{ $labels.pattern }} in {{ $labels.db }} grow. At this rate they reach maxmemory "
            f"within {days:g} days, and {{{{ $labels.target }}}} then refuses writes."
        ),
    )
    share = settings.key_share
    yield Alert(
        name="RedisKeyTooLarge",
        idea=f"one key takes more than {100 * share:g} % of the memory of the server, and more than 10 MB",
        why="A small server with few keys has large shares by nature, so 10 MB are the least size.",
        expr=f"""
            (
              {_SAMPLE}_largest_key_bytes
              / {ON_TARGET} group_left () redis_memory_used_bytes
            ) > {share:g}
            and {_SAMPLE}_largest_key_bytes > 1e7
        """,
        wait="10m",
        severity="warning",
        summary="One key takes {{ $value | humanizePercentage }} of the memory of Redis server {{ $labels.target }}",
        description=(
            "A {{ $labels.type }} key of the pattern {{ $labels.pattern }} in {{ $labels.db }} is huge. Commands on it "
            "block {{ $labels.target }}, and no shard can share it."
        ),
    )
    yield Alert(
        name="RedisKeysWithoutExpiry",
        idea="of a pattern whose keys expire, 1 to 20 % never do, for an hour",
        why="Patterns without any expiry are stored on purpose. Few keys without one are a forgotten TTL.",
        expr=f"""
            ({_SAMPLE}_without_expiry_ratio > 0.01 < 0.2)
            and
            {_SAMPLE}_without_expiry_ratio * {_SAMPLE}_keys > 1000
        """,
        wait="1h",
        severity="info",
        summary="Some keys {{ $labels.pattern }} of Redis server {{ $labels.target }} never expire",
        description=(
            "{{ $value | humanizePercentage }} of the {{ $labels.type }} keys {{ $labels.pattern }} have no expiry. "
            "All others have one. Some client forgets it, and these keys stay in {{ $labels.db }}."
        ),
    )
    span, cpu = settings.window("10m"), settings.slot_cpu
    yield Alert(
        name="RedisSlotHot",
        idea=f"the commands of one slot use more than {100 * cpu:g} % of a core",
        why="A node runs all its slots on one core, and no other node can share a slot.",
        expr=f"rate(redis_slot_cpu_seconds_total[{span}]) > {cpu:g}",
        wait="15m",
        severity="warning",
        summary="Slot {{ $labels.slot }} uses {{ $value | humanizePercentage }} of a core of {{ $labels.target }}",
        description=(
            "The commands on the keys of slot {{ $labels.slot }} use much of the main thread of {{ $labels.target }}. "
            "One key in it is hot, or a hash tag {…} binds many keys to it."
        ),
    )
