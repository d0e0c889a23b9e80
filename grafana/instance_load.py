"""Rows of the dashboard Instance about load: commands, errors, CPU, clients, network."""

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
SLOW, SLOW_SECONDS = "redis_slow_commands_total", "redis_slow_command_seconds_total"
SLOW_BY_CLIENT = "redis_slow_commands_by_client_total"
BY_COMMAND = "sum by (cmd) ({})".format
CALLS_BY_COMMAND = BY_COMMAND(server_rate(CALLS, also="cmd"))
TIME_BY_COMMAND = BY_COMMAND(server_rate(SPENT, also="cmd"))
MOST_CALLS, MOST_TIME = (f"max by (cmd) ({increase(of(metric), WHOLE)})" for metric in (CALLS, SPENT))


def rows(dashboard: Board) -> None:
    """Add the rows to the dashboard."""
    _commands(dashboard)
    _slow_commands(dashboard)
    _clients(dashboard)
    _network(dashboard)


def _commands(dashboard: Board) -> None:
    dashboard.row("Throughput and commands")
    errors, spikes = "redis_errors_total", "redis_latency_spikes_total"
    dashboard.fill(
        graph_panel(
            "Commands",
            Query(server_rate("redis_commands_processed_total"), "{{target}}"),
            unit="ops",
            description="Commands per second. A fall to 0 on a server that is up: its clients disconnected. A jump "
            "with rising latency: a new load. CLIENT LIST shows which clients it comes from.",
        ),
        graph_panel(
            "Commands by name",
            Query(top(CALLS_BY_COMMAND, MOST_CALLS, "cmd"), "{{cmd}}"),
            unit="ops",
            description="The ten most frequent commands of the chosen servers. Many CONFIG, CLIENT or AUTH: clients "
            "open a new connection for each command, so give them a pool. KEYS or SMEMBERS should not be here.",
        ),
        graph_panel(
            "Mean time by command",
            Query(top(calculated(TIME_BY_COMMAND, CALLS_BY_COMMAND), MOST_TIME, "cmd"), "{{cmd}}"),
            unit="s",
            logarithmic=True,
            description="Mean time of a call, for the ten commands with the highest total time. The server measures "
            "it without waiting and network. All other commands wait meanwhile. Above 1 ms look at the cause: "
            "big keys, scripts, KEYS, SORT or ranges over everything.",
        ),
        graph_panel(
            "Share of the time spent, by command",
            Query(top(f"{TIME_BY_COMMAND} / scalar(sum({TIME_BY_COMMAND}) > 0)", MOST_TIME, "cmd"), "{{cmd}}"),
            unit="percentunit",
            stacked=True,
            least_top=1,
            description="Which commands use the main thread: calls multiplied by their duration. If the CPU is "
            "saturated, begin with the largest share. A frequent cheap command may cost more than a rare slow "
            "one.",
        ),
        graph_panel(
            "CPU of the main thread",
            Query(MAIN_THREAD_CPU, "{{target}}"),
            unit="percentunit",
            limits=[(0.85, RED)],
            least_top=1,
            description="Share of one core. Only this thread runs commands. Above the dashed line "
            "RedisMainThreadSaturated fires. Distribute the keys over more nodes, or read from replicas. Find "
            "the expensive command in “Share of the time spent, by command”.",
        ),
        graph_panel(
            "Error replies by code",
            Query(where_any(f"sum by (err) ({server_rate(errors, also='err')})", of(errors), "err"), "{{err}}"),
            unit="ops",
            stacked=True,
            description="Errors that clients received. OOM: memory is full and nothing may be evicted. MISCONF: "
            "saving fails. READONLY: clients write to a replica. NOAUTH, WRONGPASS, NOPERM: credentials. MOVED: "
            "normal in a cluster; many of them mean clients with an outdated slot map.",
            empty=Empty("no command was refused", "no errors"),
        ),
        graph_panel(
            "Slow log",
            Query(_grown("redis_slowlog_last_id"), "{{target}}"),
            unit=COUNT,
            least_top=1,
            description="Commands per point that took longer than slowlog-log-slower-than (10 ms by default). Read "
            "them with SLOWLOG GET 10. All other clients waited for them.",
        ),
        graph_panel(
            "Latency events",
            Query(
                where_any(f"sum by (event_name) ({increase(of(spikes))})", of(spikes), "event_name"), "{{event_name}}"
            ),
            unit=COUNT,
            stacked=True,
            description="Stalls that the server itself recorded: fork, aof-write, expire-cycle, eviction-cycle, "
            "command. LATENCY DOCTOR on the server explains them. Set latency-monitor-threshold, for example to "
            "100 ms, to record them.",
            empty=Empty(
                "no event was recorded, or latency-monitor-threshold is 0, which is the default", "no event recorded"
            ),
        ),
        width=6,
        height=8,
    )


def _slow_commands(dashboard: Board) -> None:
    none = Empty("no command took longer than slowlog-log-slower-than", "no slow command")
    nameless = f'label_replace({_by_label(SLOW_BY_CLIENT, "client")}, "client", "(no name)", "client", "")'
    dashboard.fill(
        graph_panel(
            "Slow commands",
            Query(_by_label(SLOW, "command"), "{{command}}"),
            unit="ops",
            stacked=True,
            description="Commands per second that took longer than slowlog-log-slower-than, by name. KEYS: use SCAN. "
            "SMEMBERS, HGETALL, LRANGE, ZRANGE: read in parts. DEL: use UNLINK. The entries with their keys: SLOWLOG "
            "GET 25. overflow: rarer names, and entries that the server dropped before they were read.",
            empty=none,
        ),
        graph_panel(
            "Time in slow commands",
            Query(_by_label(SLOW_SECONDS, "command"), "{{command}}"),
            unit="percentunit",
            stacked=True,
            description="Share of the time that the server spent in slow commands, by name. All other clients waited "
            "meanwhile. Begin with the largest share. A short peak of 100% is a stall that every client noticed.",
            empty=none,
        ),
        graph_panel(
            "Clients of slow commands",
            Query(nameless, "{{client}}"),
            unit="ops",
            stacked=True,
            description="Slow commands per second by the name of the client that sent them. Applications choose it "
            "with CLIENT SETNAME. Give each application a name, so that this graph names the culprit.",
            empty=none,
        ),
        width=8,
        height=8,
    )


def _by_label(metric: str, label: str) -> str:
    """Return the rate by a label, of the ten values that grew most. A value that did not grow is left out."""
    grown = f"max by ({label}) ({increase(of(metric), WHOLE)})"
    return top(f"sum by ({label}) ({server_rate(metric, also=label)})", f"{grown} > 0", label)


def _grown(metric: str) -> str:
    """Return the increase of a gauge that only rises. It starts again at a restart of the server."""
    return f"clamp_min(max {BY_TARGET} (delta({of(metric)}[$__rate_interval])), 0)"


def _clients(dashboard: Board) -> None:
    dashboard.row("Clients")
    rejected = of("redis_rejected_connections_total")
    dashboard.fill(
        graph_panel(
            "Connections",
            Query(worst("redis_connected_clients"), "{{target}}"),
            Query(worst("redis_blocked_clients"), "{{target}} blocked"),
            unit=COUNT,
            description="Current connections, and those that wait in a blocking command. Steps upwards: an "
            "application's pool leaks connections. A sudden peak together with failures: many clients reconnect "
            "at once.",
        ),
        graph_panel(
            "Connections of maxclients",
            Query(CLIENTS_RATIO, "{{target}}"),
            unit="percentunit",
            limits=[(0.85, RED)],
            least_top=1,
            description="At 100 % new clients are refused. Above the dashed line RedisConnectionsNearLimit fires: "
            "find the clients with many connections with CLIENT LIST, fix their pool, or raise maxclients.",
        ),
        graph_panel(
            "New and rejected connections",
            Query(server_rate("redis_connections_received_total"), "{{target}}"),
            Query(
                where_any(server_rate("redis_rejected_connections_total"), rejected, "job, target"),
                "{{target}} rejected",
            ),
            unit="cps",
            description="Connections per second. Many new ones: clients without a pool, which connect and log in "
            "again each time. Each rejected connection is a client that the server refused because maxclients "
            "was reached.",
        ),
        graph_panel(
            "Biggest client buffers",
            Query(worst("redis_client_recent_max_output_buffer_bytes"), "{{target}} output"),
            Query(worst("redis_client_recent_max_input_buffer_bytes"), "{{target}} input"),
            unit="bytes",
            description="The largest buffer of a single client. A growing output buffer: a client reads too slowly, "
            "or a reply is huge. A large input buffer: a huge command. Both use memory of the server.",
        ),
        width=6,
        height=8,
    )


def _network(dashboard: Board) -> None:
    dashboard.row("Network")
    dashboard.fill(
        graph_panel(
            "Clients' traffic",
            Query(server_rate("redis_net_input_bytes_total"), "{{target}} in"),
            Query(server_rate("redis_net_output_bytes_total"), "{{target}} out"),
            unit="binBps",
            description="Bytes per second. Near the limit of the network card or of the cloud instance, latency "
            "rises for all clients. Find large values (MEMORY USAGE, --bigkeys) and read fewer of them.",
        ),
        graph_panel(
            "Replication traffic",
            Query(server_rate("redis_net_repl_input_bytes_total"), "{{target}} in"),
            Query(server_rate("redis_net_repl_output_bytes_total"), "{{target}} out"),
            unit="binBps",
            description="Bytes per second from a master and to replicas. A long time at a high value is a full "
            "resynchronisation: look at “Resynchronisations”. It grows with the number of replicas and with "
            "every write.",
            empty=Empty("the servers are older than Redis 7.0", "older than Redis 7.0"),
        ),
        width=12,
        height=7,
    )
