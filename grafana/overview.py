"""Overview: is every server up, is it answering in time, which one is bad, and can the measurement be trusted."""

from grafana.common import BY_TARGET, GREEN, ORANGE, RED, YELLOW, Board, of, own, rate, ratio
from grafana.panels import Query, State, graph_panel, heatmap_panel, stat_panel, states_panel

PING = 'operation="ping"'
UP = f"min {BY_TARGET} ({of('redis_up')})"
FAILURE_RATIO = ratio(
    rate(of("redis_operation_failures_total", PING)),
    rate(of("redis_operations_total", PING)),
)
PING_BUCKETS = rate(of("redis_operation_duration_seconds_bucket", PING))
PING_P99 = f"histogram_quantile(0.99, sum by (le, job, target) ({PING_BUCKETS}))"
SAMPLE_AGE = f"max {BY_TARGET} ({of('redis_sample_age_seconds')})"
#: The same thresholds as the alert RedisProbeFailureRateHigh and the default latency objective of 10 ms.
FAILURE_LIMIT = 0.05
LATENCY_OBJECTIVE = 0.01


def worst(metric: str, more: str = "") -> str:
    """Take the highest value that any exporter saw of each server."""
    return f"max {BY_TARGET} ({of(metric, more)})"


def server_rate(metric: str) -> str:
    """Rate of a server's own counter: two exporters that read it saw the same commands, so they are not added."""
    return f"max {BY_TARGET} ({rate(of(metric))})"


NOT_CLOSED = worst("redis_circuit_breaker_state", 'state!="closed"')


def board() -> Board:
    """Build the dashboard, top-down: up or down, then failures, latency, the servers, and we ourselves."""
    made = Board(
        "redis-pulse-overview",
        "Overview",
        "Is every Redis and Valkey server up and in time, which one is bad, and can the measurement be trusted.",
    )
    _at_a_glance(made)
    _availability(made)
    _latency(made)
    _servers(made)
    _exporter(made)
    return made


def _at_a_glance(made: Board) -> None:
    stats = (
        stat_panel(
            "Targets up",
            f"sum({UP})",
            unit="short",
            description="Servers whose newest ping was answered within its deadline. No data: no exporter is being "
            "scraped; look at the targets page of Prometheus.",
            steps=[(None, GREEN)],
            trend=False,
        ),
        stat_panel(
            "Targets down",
            f"count({UP}) - sum({UP})",
            unit="short",
            description="Servers whose newest ping failed. When it is not 0, find them in “Up or down” and their "
            "reason in “Failures by operation and reason”, then follow "
            "docs/runbooks/RedisTargetDown.md.",
            steps=[(None, GREEN), (1, RED)],
            trend=False,
        ),
        stat_panel(
            "Worst failure ratio",
            f"max({FAILURE_RATIO})",
            unit="percentunit",
            description="Share of failed ping slots on the worst server. The denominator is scheduled slots, so an "
            "open breaker does not make it look healthy. Above 5 % an alert fires: "
            "docs/runbooks/RedisProbeFailureRateHigh.md.",
            steps=[(None, GREEN), (0.001, YELLOW), (FAILURE_LIMIT, RED)],
        ),
        stat_panel(
            "Worst ping p99",
            f"max({PING_P99})",
            unit="s",
            description="99th percentile of a ping on the slowest server, as a client would have waited. Above 10 "
            "ms look at “Ping p99 by target”, then at slow commands and the CPU of that server.",
            steps=[(None, GREEN), (LATENCY_OBJECTIVE, ORANGE), (0.1, RED)],
        ),
        stat_panel(
            "Breakers not closed",
            f"sum({NOT_CLOSED})",
            unit="short",
            description="Servers that are left alone for a while because they kept failing. When it is not 0 follow"
            " docs/runbooks/RedisCircuitBreakerOpen.md.",
            steps=[(None, GREEN), (1, ORANGE)],
            trend=False,
        ),
        stat_panel(
            "Oldest sample",
            f"max({SAMPLE_AGE})",
            unit="s",
            description="Age of the oldest thing that a server last said. It normally stays below the poll interval"
            " (15 s); above it, the panels under “Servers” show the past: look at “Collectors”.",
            steps=[(None, GREEN), (30, ORANGE), (45, RED)],
        ),
    )
    for panel in stats:
        made.add(panel, width=4, height=4)


def _availability(made: Board) -> None:
    made.row("Availability")
    made.add(
        states_panel(
            "Up or down",
            Query(UP, "{{target}}"),
            [State(1, "up", GREEN), State(0, "down", RED)],
            description="When each server answered its pings. Compare a red stretch with “Failures by operation and"
            " reason” at the same time: refused is a dead process, timeout a hung one, auth a changed "
            "password.",
        ),
        width=12,
        height=7,
    )
    made.add(
        graph_panel(
            "Failure ratio of pings",
            Query(FAILURE_RATIO, "{{target}}"),
            unit="percentunit",
            limit=FAILURE_LIMIT,
            least_top=0.1,
            description="Failed of all scheduled ping slots. The dashed line is where RedisProbeFailureRateHigh "
            "begins; one server above it is that server's trouble, all of them together are the "
            "network's or ours.",
        ),
        width=12,
        height=7,
    )
    made.add(
        graph_panel(
            "Failures by operation and reason",
            Query(
                f"sum by (operation, reason) ({rate(of('redis_operation_failures_total'))}) > 0",
                "{{operation}}: {{reason}}",
            ),
            unit="ops",
            description="Failed slots per second. refused, reset, dns, unreachable: process or network. timeout: "
            "hung or overloaded. auth, permission: credentials. loading, busy, masterdown: the server "
            "is not ready. rejected: the breaker is open. skipped: the exporter was late.",
            empty_when="nothing failed",
            no_value="nothing failed",
        ),
        width=12,
        height=7,
    )
    open_, half_open = (worst("redis_circuit_breaker_state", f'state="{state}"') for state in ("open", "half_open"))
    made.add(
        states_panel(
            "Circuit breaker",
            Query(f"clamp_max(2 * {open_} + {half_open}, 2)", "{{target}}"),
            [State(0, "closed", GREEN), State(1, "half-open", YELLOW), State(2, "open", RED)],
            description="open: the server kept failing and is left alone; half-open: one trial is on its way. Mend "
            "the server: the breaker closes by itself after a good trial.",
        ),
        width=12,
        height=7,
    )


def _latency(made: Board) -> None:
    made.row("Latency that a client feels")
    made.add(
        graph_panel(
            "Ping quantiles of all chosen targets",
            *(
                Query(f"histogram_quantile({quantile}, sum by (le) ({PING_BUCKETS}))", legend)
                for quantile, legend in ((0.5, "p50"), (0.99, "p99"), (0.999, "p99.9"))
            ),
            unit="s",
            logarithmic=True,
            description="How long a client waited for a PING; timeouts are counted at their deadline. p50 rising: "
            "everything is slower, look at CPU and network. Only p99.9 rising: single stalls, look at "
            "slow commands, forks and swap.",
        ),
        width=8,
        height=9,
    )
    made.add(
        heatmap_panel(
            "Ping latency",
            f"sum by (le) ({PING_BUCKETS})",
            unit="s",
            description="Where the pings fell, each second. Two bands are two kinds of servers or paths; a band "
            "that splits off upwards is a stall that a mean would hide: choose single targets above to "
            "find whose it is.",
        ),
        width=8,
        height=9,
    )
    made.add(
        graph_panel(
            "Ping p99 by target",
            Query(PING_P99, "{{target}}"),
            unit="s",
            limit=LATENCY_OBJECTIVE,
            logarithmic=True,
            description="Who is slow. The dashed line is the default objective of 10 ms. One slow server: its slow "
            "log, big keys, forks, neighbours. All at once: the network, or this exporter (see “Event "
            "loop lag”).",
        ),
        width=8,
        height=9,
    )


def _servers(made: Board) -> None:
    made.row("Servers")
    memory = worst("redis_memory_used_bytes")
    limit = worst("redis_memory_max_bytes")
    hits, misses = server_rate("redis_keyspace_hits_total"), server_rate("redis_keyspace_misses_total")
    panels = (
        graph_panel(
            "Memory used",
            Query(memory, "{{target}}"),
            Query(worst("redis_memory_used_rss_bytes"), "{{target}} resident"),
            unit="bytes",
            description="Bytes allocated, and bytes that the system holds for it. Resident far above used is "
            "fragmentation: try activedefrag. Resident below used means that the server was swapped "
            "out: give the host memory.",
        ),
        graph_panel(
            "Memory used of maxmemory",
            Query(f"{memory} / ({limit} > 0)", "{{target}}"),
            unit="percentunit",
            limit=0.9,
            least_top=1,
            description="Near 100 % a cache begins to evict and a server with noeviction refuses writes: raise "
            "maxmemory, expire more, or find big keys. A server without maxmemory has no line: it can "
            "take all memory of its host.",
            empty_when="no chosen server has a maxmemory",
            no_value="no maxmemory",
        ),
        graph_panel(
            "Clients",
            Query(worst("redis_connected_clients"), "{{target}}"),
            Query(worst("redis_blocked_clients"), "{{target}} blocked"),
            unit="short",
            description="Connections now. A staircase upwards is a leak in an application's pool; a sudden peak "
            "with failures beside it is a reconnect storm. Compare with maxclients: CONFIG GET "
            "maxclients.",
        ),
        graph_panel(
            "Commands",
            Query(server_rate("redis_commands_processed_total"), "{{target}}"),
            unit="ops",
            description="Commands per second. A fall to nothing on a server that is up means that its clients went "
            "away; a jump with rising latency is a load that came from somewhere: CLIENT LIST tells "
            "from where.",
        ),
        graph_panel(
            "Hit ratio",
            Query(f"{hits} / ({hits} + {misses} > 0)", "{{target}}"),
            unit="percentunit",
            least_top=1,
            description="Lookups that found their key. A sudden fall comes from a flush, a restart, evictions or "
            "keys whose names changed with a release. A server without lookups has no line.",
            empty_when="no chosen server had lookups",
            no_value="no lookups",
        ),
        graph_panel(
            "Keys evicted and expired",
            Query(server_rate("redis_evicted_keys_total"), "{{target}} evicted"),
            Query(server_rate("redis_expired_keys_total"), "{{target}} expired"),
            unit="ops",
            description="Keys per second. Evictions are lost data unless the server is a cache: give it memory or "
            "shorter TTLs. Expirations in spikes load the server: spread the TTLs.",
        ),
    )
    for panel in panels:
        made.add(panel, width=8, height=8)


def _exporter(made: Board) -> None:
    made.row("Exporter: can the measurement be trusted?")
    lag = rate(own("redis_exporter_loop_lag_seconds_bucket"))
    skipped = ratio(
        rate(of("redis_operation_failures_total", f'{PING}, reason="skipped"')),
        rate(of("redis_operations_total", PING)),
    )
    panels = (
        graph_panel(
            "Sample age",
            Query(SAMPLE_AGE, "{{target}}"),
            unit="s",
            limit=45,
            description="Anything up to the poll interval (15 s) is right. Beyond the dashed line (max_age, 45 s) "
            "samples are no longer shown: see “Collectors” for the part that fails.",
        ),
        states_panel(
            "Collectors",
            Query(f"min by (job, target, collector) ({of('redis_collector_success')})", "{{target}} {{collector}}"),
            [State(1, "works", GREEN), State(0, "fails", RED)],
            description="Whether each part of a poll worked. Red on one part alone is mostly a missing permission: "
            "grant the exporter's user the command. Red on all parts: the server is down.",
        ),
        graph_panel(
            "Skipped pings",
            Query(skipped, "{{target}}"),
            unit="percentunit",
            limit=0.01,
            least_top=0.02,
            description="Pings that the exporter itself was too late for; the server is not to blame. Above 1 % "
            "give the exporter CPU (no CPU limit), or fewer targets.",
        ),
        graph_panel(
            "Missed runs",
            Query(f"sum by (job, instance) ({rate(own('redis_exporter_missed_runs_total'))})", "{{instance}}"),
            unit="ops",
            least_top=1,
            description="Polls and probes per second that were due and never started. It should be 0. If "
            "“Collectors” is red at the same time, a hung server made its poll overrun; if not, the "
            "exporter is starved: see the panels beside it.",
        ),
        graph_panel(
            "Event loop lag",
            Query(f"histogram_quantile(0.99, sum by (le, job, instance) ({lag}))", "{{instance}} p99"),
            unit="s",
            description="How late our timers woke. Latency measured by the wall clock may be wrong by as much; "
            "above 10 ms take load off the exporter's host.",
        ),
        graph_panel(
            "CPU of the exporter",
            Query(f"sum by (job, instance) ({rate(own('process_cpu_seconds_total'))})", "{{instance}}"),
            unit="percentunit",
            description="Share of one core. Near 100 % the measurement suffers: lengthen intervals or split the "
            "targets over two exporters.",
        ),
    )
    for panel in panels:
        made.add(panel, width=8, height=8)
