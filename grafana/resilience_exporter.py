"""Rows of the dashboard Resilience and exporter about the exporter itself."""

from grafana.common import Board
from grafana.panels import COUNT, Empty, Query, State, graph_panel, stat_panel, states_panel
from grafana.promql import BY_EXPORTER, increase, own, rate
from grafana.variables import GREEN, ORANGE, RED

EXPORTER = "{{instance}}"
RELOADED = "redis_exporter_config_last_reload_success_timestamp_seconds"


def at_a_glance(dashboard: Board) -> None:
    """Add the current state of the exporter first: all other panels depend on it."""
    dashboard.fill(
        stat_panel(
            "Exporters up",
            f"count({own('redis_exporter_build_info')})",
            unit=COUNT,
            description="Exporters that Prometheus scrapes. No data, or fewer than you run: look at the targets page "
            "of Prometheus, then at the log of the exporter.",
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
            description="Share of one core that the busiest exporter uses. Near 100 % the measurement gets worse: "
            "use longer intervals, or split the targets over two exporters. Never set a CPU limit.",
            steps=[(None, GREEN), (0.5, ORANGE), (0.8, RED)],
        ),
        stat_panel(
            "Memory",
            f"max({own('process_resident_memory_bytes')})",
            unit="bytes",
            description="Resident memory of the largest exporter. It grows with targets and collectors, and not with "
            "time. If it rises for days, report it together with the page /health.",
            steps=[(None, GREEN)],
        ),
        stat_panel(
            "Scrape p99",
            f"max({_p99('redis_exporter_page_render_seconds_bucket')})",
            unit="s",
            description="99th percentile of the time to build a page. It never waits for a server. Above 100 ms the "
            "exporter has too little CPU or very many targets.",
            steps=[(None, GREEN), (0.1, ORANGE), (1, RED)],
        ),
        stat_panel(
            "Since the last reload",
            f"time() - max({own(RELOADED)})",
            unit="dtdurations",
            decimals=0,
            description="Age of the active configuration. After a change of the file it should start again at 0: "
            "send SIGHUP, or POST /-/reload, and look at “Configuration”.",
            steps=[(None, GREEN)],
            trend=False,
        ),
        width=4,
        height=4,
    )


def rows(dashboard: Board) -> None:
    """Add the rows to the dashboard."""
    _load(dashboard)
    _faults(dashboard)


def _load(dashboard: Board) -> None:
    dashboard.row("The exporter: load")
    dashboard.fill(
        graph_panel(
            "CPU of the exporter",
            Query(f"sum {BY_EXPORTER} ({rate(own('process_cpu_seconds_total'))})", EXPORTER),
            unit="percentunit",
            limits=[(0.8, RED)],
            description="Share of one core. Near 100 % the measurement gets worse: use longer intervals, switch off "
            "expensive collectors, or split the targets over two exporters.",
        ),
        graph_panel(
            "Memory of the exporter",
            Query(own("process_resident_memory_bytes"), EXPORTER),
            unit="bytes",
            description="Resident memory. A step is a reload with more targets or collectors. A rise for days is a "
            "memory leak: report it.",
        ),
        graph_panel(
            "Event loop lag (p99)",
            Query(_p99("redis_exporter_loop_lag_seconds_bucket"), EXPORTER),
            unit="s",
            limits=[(0.01, ORANGE)],
            description="Delay of the exporter's own timers. Above 10 ms, latencies measured with the exporter's own "
            "clock are unreliable: give the exporter more CPU, or fewer targets. The dashboard Probe latency "
            "shows more.",
        ),
        graph_panel(
            "Pauses of the garbage collector (p99)",
            Query(_p99("redis_exporter_gc_pause_seconds_bucket"), EXPORTER),
            unit="s",
            description="The whole exporter stops during a pause. Pings with a kernel timestamp are still measured "
            "correctly. Above 10 ms use fewer targets for each exporter.",
            empty=Empty("no garbage was collected", "no pause"),
        ),
        graph_panel(
            "Time to build a page (p99)",
            Query(_p99("redis_exporter_page_render_seconds_bucket"), EXPORTER),
            unit="s",
            description="The time that Prometheus waits for a page, without the network. A scrape never queries a "
            "server, so it depends only on the number of series and on CPU.",
        ),
        graph_panel(
            "Requests by path and code",
            Query(f"sum by (path, code) ({rate(own('redis_exporter_http_requests_total'))})", "{{path}} {{code}}"),
            unit="reqps",
            stacked=True,
            description="Requests to the exporter. Many more than your Prometheus servers need: another client polls "
            "a page. Codes of 500 and above are errors of the exporter: look at the log.",
        ),
        width=8,
        height=7,
    )


def _faults(dashboard: Board) -> None:
    dashboard.row("The exporter: faults, and its configuration")
    refused = increase(own("redis_exporter_http_refused_total"))
    dashboard.fill(
        graph_panel(
            "Missed runs",
            Query(
                f"sum by (kind, reason) ({increase(own('redis_exporter_missed_runs_total'))})", "{{kind}}: {{reason}}"
            ),
            unit=COUNT,
            least_top=1,
            description="Polls and probes that were due and never started. It should be 0. If a target hangs at the "
            "same time, its poll overran. Otherwise the exporter has too little CPU.",
        ),
        graph_panel(
            "Faults of the exporter",
            Query(f"sum by (kind) ({increase(own('redis_exporter_job_errors_total'))})", "{{kind}} failed"),
            Query(f"sum({increase(own('redis_exporter_accounting_errors_total'))})", "pings miscounted"),
            unit=COUNT,
            least_top=1,
            description="Exceptions in the exporter's own jobs, and scheduled pings without exactly one outcome. "
            "Every value above 0 is a bug: report it with the log of this time.",
        ),
        graph_panel(
            "Requests refused",
            Query(f"sum by (reason) ({refused})", "{{reason}}"),
            Query(f"sum({increase(own('redis_target_scrape_request_errors_total'))})", "/scrape that failed"),
            unit=COUNT,
            least_top=1,
            description="Clients that were disconnected because they exceeded a limit, and failed requests for a "
            "single target. Find the clients in the log at level debug.",
        ),
        states_panel(
            "Configuration",
            Query(own("redis_exporter_config_last_reload_successful"), EXPORTER),
            states=[State(1, "active", GREEN), State(0, "refused", RED)],
            description="Red: the newest file was refused, and the one before is still active. Run redis-pulse "
            "check-config: it names the line and a solution.",
        ),
        width=6,
        height=7,
    )


def _p99(metric: str) -> str:
    return f"histogram_quantile(0.99, sum by (le, job, instance) ({rate(own(metric))}))"
