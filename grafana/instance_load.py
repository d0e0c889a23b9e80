"""Rows of Instance: what the server does, and for whom: commands, errors, CPU, clients, network."""

from grafana.common import Board
from grafana.panels import COUNT, Empty, Query, graph_panel
from grafana.promql import (
    BY_TARGET,
    CLIENTS_RATIO,
    MAIN_THREAD_CPU,
    WHOLE,
    calculated,
    increase,
    of,
    server_rate,
    top,
    where_any,
    worst,
)
from grafana.variables import RED

CALLS, SPENT = "redis_commands_total", "redis_commands_duration_seconds_total"
BY_COMMAND = "sum by (cmd) ({})".format
CALLS_BY_COMMAND = BY_COMMAND(server_rate(CALLS, also="cmd"))
TIME_BY_COMMAND = BY_COMMAND(server_rate(SPENT, also="cmd"))
MOST_CALLS, MOST_TIME = (f"max by (cmd) ({increase(of(metric), WHOLE)})" for metric in (CALLS, SPENT))


def rows(made: Board) -> None:
    """Add the rows to the dashboard."""
    _commands(made)
    _clients(made)
    _network(made)


def _commands(made: Board) -> None:
    made.row("Throughput and commands")
    errors, spikes = "redis_errors_total", "redis_latency_spikes_total"
    made.fill(
        graph_panel(
            "Commands",
            Query(server_rate("redis_commands_processed_total"), "{{target}}"),
            unit="ops",
            description="Commands per second. A fall to nothing on a server that is up means that its clients went "
            "away; a jump with rising latency is a load that came from somewhere: CLIENT LIST tells from where.",
        ),
        graph_panel(
            "Commands by name",
            Query(top(CALLS_BY_COMMAND, MOST_CALLS, "cmd"), "{{cmd}}"),
            unit="ops",
            description="The ten most frequent commands of the chosen servers. Many CONFIG, CLIENT or AUTH mean "
            "clients that connect anew for each command: give them a pool. KEYS or SMEMBERS should not be here.",
        ),
        graph_panel(
            "Mean time by command",
            Query(top(calculated(TIME_BY_COMMAND, CALLS_BY_COMMAND), MOST_TIME, "cmd"), "{{cmd}}"),
            unit="s",
            logarithmic=True,
            description="Mean time of a call, of the ten commands that cost most, as the server counts it: without "
            "waiting and network; all others wait meanwhile. Above 1 ms look at what it touches: big keys, scripts, "
            "KEYS, SORT, ranges of everything.",
        ),
        graph_panel(
            "Share of the time spent, by command",
            Query(top(f"{TIME_BY_COMMAND} / scalar(sum({TIME_BY_COMMAND}) > 0)", MOST_TIME, "cmd"), "{{cmd}}"),
            unit="percentunit",
            stacked=True,
            least_top=1,
            description="Who uses the main thread: calls times their duration. Begin with the largest share when the "
            "CPU is saturated; a frequent cheap command may weigh more than a slow rare one.",
        ),
        graph_panel(
            "CPU of the main thread",
            Query(MAIN_THREAD_CPU, "{{target}}"),
            unit="percentunit",
            limits=[(0.85, RED)],
            least_top=1,
            description="Share of one core; commands run on this thread alone. Above the dashed line "
            "RedisMainThreadSaturated begins: spread keys over more nodes, read from replicas, or find the "
            "expensive command beside it.",
        ),
        graph_panel(
            "Error replies by code",
            Query(where_any(f"sum by (err) ({server_rate(errors, also='err')})", of(errors), "err"), "{{err}}"),
            unit="ops",
            stacked=True,
            description="What clients were refused. OOM: memory is full and nothing may be evicted. MISCONF: saving "
            "fails. READONLY: they write to a replica. NOAUTH, WRONGPASS, NOPERM: credentials. MOVED: normal in a "
            "cluster, many of them: stale clients.",
            empty=Empty("no command was refused", "no errors"),
        ),
        graph_panel(
            "Slow log",
            Query(_grown("redis_slowlog_last_id"), "{{target}}"),
            unit=COUNT,
            least_top=1,
            description="Commands per point that took longer than slowlog-log-slower-than (10 ms unless set). Read "
            "them with SLOWLOG GET 10; they are the stalls that all other clients felt.",
        ),
        graph_panel(
            "Latency events",
            Query(
                where_any(f"sum by (event_name) ({increase(of(spikes))})", of(spikes), "event_name"), "{{event_name}}"
            ),
            unit=COUNT,
            stacked=True,
            description="Stalls that the server noted itself: fork, aof-write, expire-cycle, eviction-cycle, command. "
            "LATENCY DOCTOR on it explains them. Set latency-monitor-threshold (100 ms) to have them noted.",
            empty=Empty("nothing was noted, or latency-monitor-threshold is 0, as it is by default", "no event noted"),
        ),
        width=6,
        height=8,
    )


def _grown(metric: str) -> str:
    """Tell how much a number grew that only counts up but is no counter; it begins anew with the server."""
    return f"clamp_min(max {BY_TARGET} (delta({of(metric)}[$__rate_interval])), 0)"


def _clients(made: Board) -> None:
    made.row("Clients")
    rejected = of("redis_rejected_connections_total")
    made.fill(
        graph_panel(
            "Connections",
            Query(worst("redis_connected_clients"), "{{target}}"),
            Query(worst("redis_blocked_clients"), "{{target}} blocked"),
            unit=COUNT,
            description="Connections now, and those that wait in a blocking command. A staircase upwards is a leak in "
            "an application's pool; a sudden peak with failures beside it is a reconnect storm.",
        ),
        graph_panel(
            "Connections of maxclients",
            Query(CLIENTS_RATIO, "{{target}}"),
            unit="percentunit",
            limits=[(0.85, RED)],
            least_top=1,
            description="At 100 % new clients are refused. Above the dashed line RedisConnectionsNearLimit begins: "
            "find who holds so many with CLIENT LIST, mend its pool, or raise maxclients.",
        ),
        graph_panel(
            "New and rejected connections",
            Query(server_rate("redis_connections_received_total"), "{{target}}"),
            Query(
                where_any(server_rate("redis_rejected_connections_total"), rejected, "job, target"),
                "{{target}} rejected",
            ),
            unit="cps",
            description="Connections per second. Many new ones: clients without a pool, each pays a connect and a "
            "login. Any rejected one is a client that was sent away since maxclients was reached.",
        ),
        graph_panel(
            "Biggest client buffers",
            Query(worst("redis_client_recent_max_output_buffer_bytes"), "{{target}} output"),
            Query(worst("redis_client_recent_max_input_buffer_bytes"), "{{target}} input"),
            unit="bytes",
            description="The biggest buffer of a single client. Output that grows is a client that reads too slowly, "
            "or a huge reply; input is a huge command. Both count as memory of the server.",
        ),
        width=6,
        height=8,
    )


def _network(made: Board) -> None:
    made.row("Network")
    made.fill(
        graph_panel(
            "Clients' traffic",
            Query(server_rate("redis_net_input_bytes_total"), "{{target}} in"),
            Query(server_rate("redis_net_output_bytes_total"), "{{target}} out"),
            unit="binBps",
            description="Bytes per second. Near the limit of the network card or of the cloud instance, latency rises "
            "for all: find large values (MEMORY USAGE, --bigkeys) and read less of them.",
        ),
        graph_panel(
            "Replication traffic",
            Query(server_rate("redis_net_repl_input_bytes_total"), "{{target}} in"),
            Query(server_rate("redis_net_repl_output_bytes_total"), "{{target}} out"),
            unit="binBps",
            description="Bytes per second from a master and to replicas. A high plateau is a full resynchronisation: "
            "see “Resynchronisations”. It grows with the number of replicas and with every write.",
            empty=Empty("the servers are older than Redis 7.0", "older than Redis 7.0"),
        ),
        width=12,
        height=7,
    )
