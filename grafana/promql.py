"""PromQL expressions that several dashboards use, and functions to build them.

A server is identified by (job, target). Two exporters of one job may probe the same target: both observe one server.
Metrics of the exporters' own work (scheduled pings, failures) are summed. Metrics that a server reports about itself
are taken once, with ``max`` or ``min``.
"""

#: Matchers for the series of the chosen targets.
TARGETS = 'job=~"$job", instance=~"$instance", target=~"$target"'
#: Matchers for the series of the exporters themselves, which have no label ``target``.
EXPORTERS = 'job=~"$job", instance=~"$instance"'
BY_TARGET = "by (job, target)"
BY_EXPORTER = "by (job, instance)"

PING = 'operation="ping"'
#: The whole chosen time range, used with ``AT_END``.
WHOLE = "$__range"
AT_END = " @ end()"


def of(metric: str, more: str = "") -> str:
    """Return a selector for the series of the chosen targets; ``more`` adds matchers."""
    return f"{metric}{{{TARGETS}{', ' if more else ''}{more}}}"


def own(metric: str, more: str = "") -> str:
    """Return a selector for the series of the exporters themselves; ``more`` adds matchers."""
    return f"{metric}{{{EXPORTERS}{', ' if more else ''}{more}}}"


def rate(selector: str) -> str:
    """Return the rate per second, over the interval that fits the resolution of the graph."""
    return f"rate({selector}[$__rate_interval])"


def increase(selector: str, window: str = "$__rate_interval") -> str:
    """Return the increase of a counter within ``window``.

    ``WHOLE`` is the whole chosen time range: it gives one value, the same for all points of a graph.
    """
    return f"increase({selector}[{window}]{AT_END if window == WHOLE else ''})"


def where_any(expr: str, counter: str, by: str) -> str:
    """Return ``expr`` without the series whose counter did not grow in the chosen time.

    It keeps or drops whole series. A condition for each point would cut gaps, and Grafana draws lines across gaps.
    """
    return f"{expr} and on ({by}) (sum by ({by}) ({increase(counter, WHOLE)}) > 0)"


def top(expr: str, ranking: str, by: str = "job, target") -> str:
    """Return the ten series of ``expr`` with the highest ``ranking`` in the chosen time.

    It keeps or drops whole series, for the same reason as ``where_any``.
    """
    return f"{expr} and on ({by}) topk(10, {ranking})"


def ratio(part: str, whole: str, by: str = BY_TARGET) -> str:
    """Return the ratio of two sums. It has no value where the sum of ``whole`` is 0.

    Both sides are summed before the division, because an average of ratios would be wrong.
    """
    return f"sum {by} ({part}) / (sum {by} ({whole}) > 0)"


def quantile(q: float | str, metric: str, more: str = "", *, by: str = "job, target", window: str = "") -> str:
    """Return a quantile of one of the exporter's histograms; ``by`` are the labels to keep in addition to ``le``."""
    selector = own(metric, more) if metric.startswith("redis_exporter_") else of(metric, more)
    growth = increase(selector, window) if window else rate(selector)
    return f"histogram_quantile({q}, sum by ({', '.join(filter(None, ('le', by)))}) ({growth}))"


def worst(metric: str, more: str = "", *, also: str = "") -> str:
    """Return the highest value that any exporter has for each server; ``also`` are more labels to keep."""
    return f"max by (job, target{', ' if also else ''}{also}) ({of(metric, more)})"


def server_rate(metric: str, more: str = "", *, also: str = "") -> str:
    """Return the rate of a counter that the server itself reports; ``also`` are more labels to keep.

    Two exporters that read it count the same commands, so their rates are not summed.
    """
    return f"max by (job, target{', ' if also else ''}{also}) ({rate(of(metric, more))})"


def calculated(part: str, whole: str) -> str:
    """Return the quotient of two sides with the same labels. It has no value where ``whole`` is 0."""
    return f"{part} / ({whole} > 0)"


UP = f"min {BY_TARGET} ({of('redis_up')})"
_FAILURES = "redis_operation_failures_total"
#: The outcome of a ping may be scraped one scrape later than its start. So a short window may hold more failures than
#: scheduled pings.
FAILURE_RATIO = f"clamp_max({ratio(rate(of(_FAILURES, PING)), rate(of('redis_operations_total', PING)))}, 1)"
#: The end of the name of a histogram, which a variable chooses. It is ``seconds_bucket`` for classic ones, and
#: ``seconds`` for native ones. Native ones have no label ``le``, so ``sum by (le)`` is right for both.
HISTOGRAMS = "$histograms"
#: What quantiles are computed from.
DURATIONS = f"redis_operation_duration_{HISTOGRAMS}"
#: What counts the pings up to an edge. Only classic histograms have it.
DURATION_BUCKETS = "redis_operation_duration_seconds_bucket"
_LONGEST = f"max {BY_TARGET} ({of('redis_operation_duration_max_seconds', PING)})"
#: NaN, which is a gap in the graph, while no ping was measured: 0 would look like a perfect ping.
LONGEST_PING = f"{_LONGEST} / ({_LONGEST} > bool 0)"
PING_P99 = quantile(0.99, DURATIONS, PING)
SAMPLE_AGE = worst("redis_sample_age_seconds")
OLDEST_SAMPLE = f"max {BY_TARGET} (max_over_time({of('redis_sample_age_seconds')}[$__rate_interval]))"
NOT_CLOSED = worst("redis_circuit_breaker_state", 'state!="closed"')
#: 0 closed, 1 half-open, 2 open.
BREAKER = "clamp_max(2 * {} + {}, 2)".format(
    *(worst("redis_circuit_breaker_state", f'state="{state}"') for state in ("open", "half_open"))
)
#: Failed pings, and other failed operations, by reason.
PING_FAILURES, OTHER_FAILURES = (
    where_any(f"sum by (reason) ({rate(selector)})", selector, "reason")
    for selector in (of(_FAILURES, PING), of(_FAILURES, 'operation!="ping"'))
)

_HITS, _MISSES = server_rate("redis_keyspace_hits_total"), server_rate("redis_keyspace_misses_total")
HIT_RATIO = calculated(_HITS, f"{_HITS} + {_MISSES}")
#: Only for servers with a maxmemory: the others have no limit to compare with.
MEMORY_RATIO = calculated(worst("redis_memory_used_bytes"), worst("redis_memory_max_bytes"))
#: Redis 7 and later report the limit in INFO, older versions in CONFIG.
MAX_CLIENTS = f"({worst('redis_max_clients')} or {worst('redis_config_maxclients')})"
CLIENTS_RATIO = f"{worst('redis_connected_clients')} / ({MAX_CLIENTS} > 0)"
MAIN_THREAD_CPU = f"{server_rate('redis_cpu_sys_main_thread_seconds_total')} + " + server_rate(
    "redis_cpu_user_main_thread_seconds_total"
)


def identity(*labels: str) -> str:
    """Return one series for each server, with the labels ``server`` and ``version``, and ``labels`` of the info metric.

    Valkey reports the version 7.2.4 as ``redis_version``, for old clients. Its own version is in ``valkey_version``.
    """
    kept = ", ".join(("job", "target", "redis_version", "valkey_version", *labels))
    expr = f"max by ({kept}) ({of('redis_instance_info')})"
    replacements = (
        ("version", "$1", "redis_version", "(.+)"),
        ("version", "$1", "valkey_version", "(.+)"),
        ("server", "Redis", "redis_version", ".+"),
        ("server", "Valkey", "valkey_version", ".+"),
    )
    for label, value, source, pattern in replacements:
        expr = f'label_replace({expr}, "{label}", "{value}", "{source}", "{pattern}")'
    return f"max by ({', '.join(('job', 'target', 'server', 'version', *labels))}) ({expr})"
