"""Rows of Resilience and exporter that look at the exporter itself."""

from grafana.common import Board
from grafana.panels import COUNT, Empty, Query, State, graph_panel, stat_panel, states_panel
from grafana.promql import BY_EXPORTER, increase, own, rate
from grafana.variables import GREEN, ORANGE, RED

EXPORTER = "{{instance}}"
RELOADED = "redis_exporter_config_last_reload_success_timestamp_seconds"


def at_a_glance(made: Board) -> None:
    """Begin with the exporter now: everything below stands on it."""
    made.fill(
        stat_panel(
            "Exporters up",
            f"count({own('redis_exporter_build_info')})",
            unit=COUNT,
            description="Exporters that Prometheus scrapes. No data or fewer than you run: look at the targets page of "
            "Prometheus, then at the log of the exporter.",
            steps=[(None, GREEN)],
            trend=False,
        ),
        stat_panel(
            "Targets watched",
            f"sum({own('redis_exporter_targets')})",
            unit=COUNT,
            description="Targets that all chosen exporters watch. Fewer than you configured: look at the log of the "
            "last reload and at the panel “Configuration”.",
            steps=[(None, GREEN)],
            trend=False,
        ),
        stat_panel(
            "CPU",
            f"max(sum {BY_EXPORTER} ({rate(own('process_cpu_seconds_total'))}))",
            unit="percentunit",
            decimals=1,
            description="Share of one core that the busiest exporter uses. Near 100 % the measurement suffers: "
            "lengthen intervals or split the targets over two exporters; never set a CPU limit.",
            steps=[(None, GREEN), (0.5, ORANGE), (0.8, RED)],
        ),
        stat_panel(
            "Memory",
            f"max({own('process_resident_memory_bytes')})",
            unit="bytes",
            description="Resident memory of the largest exporter; it grows with targets and collectors, and not with "
            "time. If it climbs for days, report it with the page /health.",
            steps=[(None, GREEN)],
        ),
        stat_panel(
            "Scrape p99",
            f"max({_p99('redis_exporter_page_render_seconds_bucket')})",
            unit="s",
            description="99th percentile of the time to build a page. It never waits for a server; above 100 ms the "
            "exporter is short of CPU or has very many targets.",
            steps=[(None, GREEN), (0.1, ORANGE), (1, RED)],
        ),
        stat_panel(
            "Since the last reload",
            f"time() - max({own(RELOADED)})",
            unit="dtdurations",
            decimals=0,
            description="Since when the configuration in force has been in force. After a change of the file it should "
            "begin anew: send SIGHUP, or POST /-/reload, and look at “Configuration”.",
            steps=[(None, GREEN)],
            trend=False,
        ),
        width=4,
        height=4,
    )


def rows(made: Board) -> None:
    """Add the rows to the dashboard."""
    _load(made)
    _faults(made)


def _load(made: Board) -> None:
    made.row("The exporter: load")
    made.fill(
        graph_panel(
            "CPU of the exporter",
            Query(f"sum {BY_EXPORTER} ({rate(own('process_cpu_seconds_total'))})", EXPORTER),
            unit="percentunit",
            limits=[(0.8, RED)],
            description="Share of one core. Near 100 % the measurement suffers: lengthen intervals, switch off "
            "expensive collectors or split the targets over two exporters.",
        ),
        graph_panel(
            "Memory of the exporter",
            Query(own("process_resident_memory_bytes"), EXPORTER),
            unit="bytes",
            description="Resident memory. A step is a reload with more targets or collectors; a climb for days is a "
            "leak: report it.",
        ),
        graph_panel(
            "Event loop lag (p99)",
            Query(_p99("redis_exporter_loop_lag_seconds_bucket"), EXPORTER),
            unit="s",
            limits=[(0.01, ORANGE)],
            description="How late our timers woke. Above 10 ms latencies that our own clock measures are doubtful: "
            "give the exporter CPU, or fewer targets. See also the dashboard Probe latency.",
        ),
        graph_panel(
            "Pauses of the garbage collector (p99)",
            Query(_p99("redis_exporter_gc_pause_seconds_bucket"), EXPORTER),
            unit="s",
            description="The whole exporter stands still meanwhile; pings that are stamped by the kernel are timed "
            "rightly all the same. Above 10 ms: fewer targets for each exporter.",
            empty=Empty("no garbage was collected", "no pause"),
        ),
        graph_panel(
            "Time to build a page (p99)",
            Query(_p99("redis_exporter_page_render_seconds_bucket"), EXPORTER),
            unit="s",
            description="What Prometheus waits for, besides the network. A scrape never asks a server, so it depends "
            "on the number of series and on CPU alone.",
        ),
        graph_panel(
            "Requests by path and code",
            Query(f"sum by (path, code) ({rate(own('redis_exporter_http_requests_total'))})", "{{path}} {{code}}"),
            unit="reqps",
            stacked=True,
            description="Who asks us. Many more than your Prometheus servers need: somebody polls a page; codes of 500 "
            "and above are faults of ours, see the log.",
        ),
        width=8,
        height=7,
    )


def _faults(made: Board) -> None:
    made.row("The exporter: faults, and its configuration")
    refused = increase(own("redis_exporter_http_refused_total"))
    made.fill(
        graph_panel(
            "Missed runs",
            Query(f"sum by (kind, cause) ({increase(own('redis_exporter_missed_runs_total'))})", "{{kind}}: {{cause}}"),
            unit=COUNT,
            least_top=1,
            description="Polls and probes that were due and never started. It should be 0. If a target is hung at the "
            "same time, its poll overran; if not, the exporter is starved of CPU.",
        ),
        graph_panel(
            "Faults of ours",
            Query(f"sum by (kind) ({increase(own('redis_exporter_job_errors_total'))})", "{{kind}} failed"),
            Query(f"sum({increase(own('redis_exporter_accounting_errors_total'))})", "slots miscounted"),
            unit=COUNT,
            least_top=1,
            description="Exceptions in our own jobs, and slots without exactly one outcome. Anything above 0 is a bug: "
            "report it with the log around that time.",
        ),
        graph_panel(
            "Requests refused",
            Query(f"sum by (reason) ({refused})", "{{reason}}"),
            Query(f"sum({increase(own('redis_target_scrape_request_errors_total'))})", "/scrape that failed"),
            unit=COUNT,
            least_top=1,
            description="Clients that were cut off because they asked too much, and requests for a single target that "
            "could not be served. Find out who asks, in the log at level debug.",
        ),
        states_panel(
            "Configuration",
            Query(own("redis_exporter_config_last_reload_successful"), EXPORTER),
            states=[State(1, "in force", GREEN), State(0, "refused", RED)],
            description="Red: the newest file was refused, and the one before is still in force. Run redis-pulse "
            "check-config, which names the line and the cure.",
        ),
        width=6,
        height=7,
    )


def _p99(metric: str) -> str:
    return f"histogram_quantile(0.99, sum by (le, job, instance) ({rate(own(metric))}))"
