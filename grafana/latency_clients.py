"""Row of the dashboard Probe latency: what clients measure, the network, our pings, CPU limits and stalls.

Metrics of other exporters have no label ``target``, and their jobs are not ours. So the variables of the dashboard do
not choose among them.
"""

from grafana_foundation_sdk.builders import timeseries

from grafana import stalls
from grafana.common import Board
from grafana.panels import Empty, Query, graph_panel
from grafana.promql import BY_TARGET, DURATIONS, LONGEST_PING, PING, WHOLE, increase, of, quantile, rate, worst
from grafana.variables import RED

#: OpenTelemetry's names for database clients, as Prometheus spells them. redis-py and go-redis use them.
OPERATION_BUCKETS = "db_client_operation_duration_seconds_bucket"
POOL_WAIT_BUCKETS = "db_client_connection_wait_time_seconds_bucket"
POOL_TIMEOUTS = "db_client_connection_timeouts_total"
CLIENT_ERRORS = "redis_client_errors_total"
#: Of cAdvisor, which every kubelet has.
PERIODS, THROTTLED = "container_cpu_cfs_periods_total", "container_cpu_cfs_throttled_periods_total"
#: Metrics that other programs export. All other metrics of the dashboards are ours.
FOREIGN = frozenset({OPERATION_BUCKETS, POOL_WAIT_BUCKETS, POOL_TIMEOUTS, CLIENT_ERRORS, PERIODS, THROTTLED})

_CONTAINER = "namespace, pod, container"
_NO_CLIENT = Empty("no application exports OpenTelemetry metrics of its Redis client", "no client exports this")
NO_TCP = Empty("the target is a unix socket, or the exporter does not run on Linux", "no TCP connection on Linux")


def row(dashboard: Board) -> None:
    """Add the row. It is collapsed, because few applications export such metrics."""
    dashboard.row("Pool, network or Redis?", collapsed=True)
    dashboard.fill(
        graph_panel(
            "Clients: a command (p99)",
            Query(
                _client_quantile(OPERATION_BUCKETS, "job, server_address, server_port"),
                "{{job}} → {{server_address}} {{server_port}}",
            ),
            unit="s",
            logarithmic=True,
            description="How long applications wait for a command, by the OpenTelemetry metrics of their Redis client. "
            "Read this row from top to bottom at the time of a peak. The first panel below that has the peak too "
            "names the cause: the pool, the network, Redis or a CPU limit. If none has it, look at the application. "
            "redis-py exports it with MetricGroup.COMMAND only.",
            empty=_NO_CLIENT,
        ),
        graph_panel(
            "Pool: waiting for a connection (p99)",
            Query(
                _client_quantile(POOL_WAIT_BUCKETS, "job, db_client_connection_pool_name"),
                "{{job}} {{db_client_connection_pool_name}}",
            ),
            unit="s",
            logarithmic=True,
            description="Time until the pool of a client had a free connection. It is part of what the application "
            "waits, and Redis cannot see it. If it rises while pings stay fast, enlarge the pool, or look for a "
            "connection that is kept too long. redis-py exports it with MetricGroup.CONNECTION_ADVANCED only.",
            empty=_NO_CLIENT,
        ),
        graph_panel(
            "Clients: errors and pool timeouts",
            Query(f"sum by (job, error_type) ({_client_rate(CLIENT_ERRORS)})", "{{job}} {{error_type}}"),
            Query(f"sum by (job) ({_client_rate(POOL_TIMEOUTS)})", "{{job}} pool timeout"),
            unit="cps",
            least_top=1,
            description="Errors that the Redis clients of applications count, also those that they retried, and "
            "requests that got no connection from the pool in time. Pool timeouts without slow pings: the pool is too "
            "small. Connection errors together with segments sent again: the network.",
            empty=_NO_CLIENT,
        ),
        graph_panel(
            "Network: round trips of our connection",
            Query(worst("redis_connection_tcp_min_rtt_seconds"), "{{target}}"),
            Query(worst("redis_connection_tcp_rtt_seconds"), "{{target}} smoothed"),
            unit="s",
            logarithmic=True,
            description="Round trips of the ping connection, as the kernel measures them at every poll: the lowest of "
            "about five minutes, and a smoothed one (dashed). If both rise, the path is longer or full. The smoothed "
            "one contains up to 40 ms of the server's time. If only that rises, the server is slow.",
            empty=NO_TCP,
        ),
        graph_panel(
            "Network: segments sent again",
            Query(f"sum {BY_TARGET} ({rate(of('redis_connection_tcp_retransmits_total'))})", "{{target}}"),
            unit="cps",
            least_top=1,
            description="TCP segments that the kernel sent again on the ping connection. A slow or hung server causes "
            "none, because its kernel acknowledges all the same. So any peak is loss on the path, or a machine that "
            "does not run at all.",
            empty=NO_TCP,
        ),
        graph_panel(
            "Redis: our pings",
            Query(quantile(0.99, DURATIONS, PING), "{{target}}"),
            Query(LONGEST_PING, "{{target}} longest"),
            unit="s",
            logarithmic=True,
            description="The p99 of our pings, and the longest one (dashed), on a connection without a pool. A peak "
            "here without one in the two panels above: Redis itself was slow, look at its slow log and its CPU.",
        ),
        graph_panel(
            "CPU limit: the ten containers throttled most",
            Query(_throttled(), "{{namespace}} {{pod}} {{container}}"),
            unit="percentunit",
            limits=[(0.05, RED)],
            least_top=0.1,
            description="Share of the scheduler's periods in which a container with a CPU limit had to stop. Look for "
            "Redis, for the application and for this exporter. A throttled Redis answers late without any slow "
            "command. Raise the limit, or remove it. The variables at the top do not choose containers.",
            empty=Empty("no container was throttled, or nothing exports metrics of cAdvisor", "nothing throttled"),
        ),
        stalls.seconds_panel("Redis: stall seconds, by cause"),
        width=24,
        height=6,
    )


def split_panel() -> timeseries.Panel:
    """Return the graph of the two parts of a median ping: the network, and everything else.

    The smoothed round trip of the kernel does not fit. The acknowledgement of a PING travels with the PONG, so it
    contains the time of the server.
    """
    network = worst("redis_connection_tcp_min_rtt_seconds")
    return graph_panel(
        "A ping, split into network and server",
        Query(f"clamp_min({quantile(0.5, DURATIONS, PING)} - {network}, 1e-6)", "{{target}} server"),
        Query(network, "{{target}} network"),
        unit="s",
        logarithmic=True,
        description="The network (dashed) is the lowest round trip of about five minutes, as the kernel measures it. "
        "The server is the rest of the median ping: its queue, its CPU, TLS. The larger part is the one to improve. "
        "If every ping of five minutes had to wait, a part of the wait counts as network. Compare it with tcp in "
        "“Phases of connecting”.",
        empty=NO_TCP,
    )


def _of_redis(metric: str) -> tuple[str, str]:
    """Return selectors for Redis clients. The label was renamed when the conventions became stable."""
    old, stable = (f'{metric}{{{label}=~"redis|valkey"}}' for label in ("db_system", "db_system_name"))
    return old, stable


def _client_rate(metric: str) -> str:
    return " or ".join(rate(selector) for selector in _of_redis(metric))


def _client_quantile(buckets: str, by: str) -> str:
    return f"histogram_quantile(0.99, sum by (le, {by}) ({_client_rate(buckets)}))"


def _throttled() -> str:
    named = 'container!=""'
    throttled, periods = f"{THROTTLED}{{{named}}}", f"{PERIODS}{{{named}}}"
    share = f"sum by ({_CONTAINER}) ({rate(throttled)}) / (sum by ({_CONTAINER}) ({rate(periods)}) > 0)"
    worst_ten = f"topk(10, sum by ({_CONTAINER}) ({increase(throttled, WHOLE)}) > 0)"
    return f"{share} and on ({_CONTAINER}) {worst_ten}"
