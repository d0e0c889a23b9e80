"""PromQL that more than one dashboard asks for, and how it is put together.

A server is one (job, target): two exporters of a job that probe the same target are two witnesses of one server. What
the exporters did themselves (slots, failures) is added up; what a server said of itself is taken once.
"""

#: The series of the chosen targets.
TARGETS = 'job=~"$job", instance=~"$instance", target=~"$target"'
#: The series of the exporters themselves, which bear no target.
EXPORTERS = 'job=~"$job", instance=~"$instance"'
BY_TARGET = "by (job, target)"
BY_EXPORTER = "by (job, instance)"

PING = 'operation="ping"'
#: The chosen time, at its end.
WHOLE = "$__range"
AT_END = " @ end()"


def of(metric: str, more: str = "") -> str:
    """Select the series of the chosen targets; ``more`` adds matchers."""
    return f"{metric}{{{TARGETS}{', ' if more else ''}{more}}}"


def own(metric: str, more: str = "") -> str:
    """Select the series of the exporters themselves."""
    return f"{metric}{{{EXPORTERS}{', ' if more else ''}{more}}}"


def rate(selector: str) -> str:
    """Per second, over the interval that fits the resolution of the graph."""
    return f"rate({selector}[$__rate_interval])"


def increase(selector: str, window: str = "$__rate_interval") -> str:
    """How much a counter grew within ``window``; ``WHOLE`` is all the chosen time, one for all points of a graph."""
    return f"increase({selector}[{window}]{AT_END if window == WHOLE else ''})"


def where_any(expr: str, counter: str, by: str) -> str:
    """Keep those series of ``expr`` whose counter grew in the chosen time: whole ones, or graphs would bridge gaps."""
    return f"{expr} and on ({by}) (sum by ({by}) ({increase(counter, WHOLE)}) > 0)"


def top(expr: str, ranking: str, by: str = "job, target") -> str:
    """Keep the ten series of ``expr`` that rank highest in the chosen time: whole ones, for the same reason."""
    return f"{expr} and on ({by}) topk(10, {ranking})"


def ratio(part: str, whole: str, by: str = BY_TARGET) -> str:
    """Part of a whole; both are summed first, for no ratio may be averaged. Silent where the whole is 0."""
    return f"sum {by} ({part}) / (sum {by} ({whole}) > 0)"


def quantile(q: float | str, metric: str, more: str = "", *, by: str = "job, target", window: str = "") -> str:
    """Estimate a quantile of a histogram of ours; ``by`` are the labels that stay beside ``le``."""
    selector = own(metric, more) if metric.startswith("redis_exporter_") else of(metric, more)
    grown = increase(selector, window) if window else rate(selector)
    return f"histogram_quantile({q}, sum by ({', '.join(filter(None, ('le', by)))}) ({grown}))"


def worst(metric: str, more: str = "", *, also: str = "") -> str:
    """Take the highest value that any exporter saw of each server; ``also`` are further labels to keep."""
    return f"max by (job, target{', ' if also else ''}{also}) ({of(metric, more)})"


def server_rate(metric: str, more: str = "", *, also: str = "") -> str:
    """Rate of a server's own counter: two exporters that read it saw the same commands, so they are not added."""
    return f"max by (job, target{', ' if also else ''}{also}) ({rate(of(metric, more))})"


def calculated(part: str, whole: str) -> str:
    """Divide two sides that bear the same labels; silent where the whole is 0."""
    return f"{part} / ({whole} > 0)"


UP = f"min {BY_TARGET} ({of('redis_up')})"
_FAILURES = "redis_operation_failures_total"
#: The outcome of a slot may be counted a scrape later than the slot, so a short window may hold more of them.
FAILURE_RATIO = f"clamp_max({ratio(rate(of(_FAILURES, PING)), rate(of('redis_operations_total', PING)))}, 1)"
DURATION_BUCKETS = "redis_operation_duration_seconds_bucket"
_LONGEST = f"max {BY_TARGET} ({of('redis_operation_duration_max_seconds', PING)})"
#: Not a number, and so a gap, while nothing was timed: 0 would be a perfect ping.
LONGEST_PING = f"{_LONGEST} / ({_LONGEST} > bool 0)"
PING_P99 = quantile(0.99, DURATION_BUCKETS, PING)
SAMPLE_AGE = worst("redis_sample_age_seconds")
OLDEST_SAMPLE = f"max {BY_TARGET} (max_over_time({of('redis_sample_age_seconds')}[$__rate_interval]))"
NOT_CLOSED = worst("redis_circuit_breaker_state", 'state!="closed"')
#: 0 closed, 1 half-open, 2 open.
BREAKER = "clamp_max(2 * {} + {}, 2)".format(
    *(worst("redis_circuit_breaker_state", f'state="{state}"') for state in ("open", "half_open"))
)
#: Of pings and of all else that is asked, by reason.
PING_FAILURES, OTHER_FAILURES = (
    where_any(f"sum by (reason) ({rate(which)})", which, "reason")
    for which in (of(_FAILURES, PING), of(_FAILURES, 'operation!="ping"'))
)

_HITS, _MISSES = server_rate("redis_keyspace_hits_total"), server_rate("redis_keyspace_misses_total")
HIT_RATIO = calculated(_HITS, f"{_HITS} + {_MISSES}")
#: Only of servers that have a maxmemory: without one there is nothing to be near to.
MEMORY_RATIO = calculated(worst("redis_memory_used_bytes"), worst("redis_memory_max_bytes"))
#: The limit stands in INFO from Redis 7 on, in CONFIG before.
MAX_CLIENTS = f"({worst('redis_max_clients')} or {worst('redis_config_maxclients')})"
CLIENTS_RATIO = f"{worst('redis_connected_clients')} / ({MAX_CLIENTS} > 0)"
MAIN_THREAD_CPU = f"{server_rate('redis_cpu_sys_main_thread_seconds_total')} + " + server_rate(
    "redis_cpu_user_main_thread_seconds_total"
)


def identity(*labels: str) -> str:
    """Say what each server is, as labels ``server`` and ``version``, with ``labels`` of the info kept beside them.

    A Valkey calls itself Redis 7.2.4 where clients ask for its version; its own one stands in ``valkey_version``.
    """
    kept = ", ".join(("job", "target", "redis_version", "valkey_version", *labels))
    named = f"max by ({kept}) ({of('redis_instance_info')})"
    steps = (
        ("version", "$1", "redis_version", "(.+)"),
        ("version", "$1", "valkey_version", "(.+)"),
        ("server", "Redis", "redis_version", ".+"),
        ("server", "Valkey", "valkey_version", ".+"),
    )
    for into, text, source, pattern in steps:
        named = f'label_replace({named}, "{into}", "{text}", "{source}", "{pattern}")'
    return f"max by ({', '.join(('job', 'target', 'server', 'version', *labels))}) ({named})"
