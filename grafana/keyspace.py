"""Dashboard "What fills it, what heats it": memory by part and by key pattern, and what uses the CPU."""

from grafana_foundation_sdk.builders import table

from grafana import keyspace_cluster
from grafana.common import Board
from grafana.heatmaps import heatmap_panel
from grafana.panels import COUNT, Empty, Query, graph_panel
from grafana.promql import BY_TARGET, WHOLE, increase, of, server_rate, top, worst
from grafana.tables import Column, table_panel
from grafana.variables import RED

_SAMPLE = "redis_keyspace_sample"
MEMORY, MEMORY_ERROR = f"{_SAMPLE}_memory_bytes", f"{_SAMPLE}_memory_error_bytes"
KEYS, KEYS_ERROR = f"{_SAMPLE}_keys", f"{_SAMPLE}_keys_error"
LARGEST = f"{_SAMPLE}_largest_key_bytes"
#: The labels that identify a server, and those that identify the keys of one pattern.
_SERVER = "job, target"
_LABELS = "job, target, db, pattern, type"
_ALSO = "db, pattern, type"
_LEGEND = "{{target}} {{db}} {{pattern}} {{type}}"
_HOT_LEGEND = "{{target}} {{pattern}}"
_NO_SAMPLE = Empty("no target has the collector keyspace_sample, which is off by default", "keyspace_sample is off")
_NOT_LFU = Empty("no server has an LFU policy (maxmemory-policy …-lfu), or keyspace_sample is off", "no LFU policy")
_NO_HOT_KEYS = Empty(
    "no server has HOTKEYS (Redis 8.6 and later), or the collector hotkeys is off", "no search for hot keys"
)
_NO_SIZES = Empty("no server has INFO keysizes (Redis 8.0 and later)", "no server counts key sizes")


def board() -> Board:
    """Return the dashboard: the memory of the servers, the patterns, the sizes of keys, then the load."""
    dashboard = Board(
        "redis-pulse-keyspace",
        "What fills it, what heats it",
        "Which keys use the memory, with an error for each estimate, and which commands and clients use the CPU.",
        since="now-6h",
    )
    _memory(dashboard)
    _patterns(dashboard)
    _trust(dashboard)
    _sizes(dashboard)
    _heat(dashboard)
    keyspace_cluster.row(dashboard)
    return dashboard


def _memory(dashboard: Board) -> None:
    dashboard.row("Memory of the servers")
    clients = " + ".join(
        f"({worst(name)} or 0 * {worst('redis_memory_used_bytes')})"
        for name in ("redis_mem_clients_normal", "redis_mem_clients_slaves")
    )
    overhead = (
        f"clamp_min({worst('redis_memory_used_overhead_bytes')} - ({clients}) "
        f"- {worst('redis_mem_replication_backlog_bytes')}, 0)"
    )
    dashboard.add(
        graph_panel(
            "Where the memory is",
            Query(_whole("redis_memory_used_dataset_bytes"), "dataset"),
            Query(f"sum({overhead})", "overhead"),
            Query(_whole("redis_mem_clients_normal"), "clients"),
            Query(
                f"{_whole('redis_mem_replication_backlog_bytes')} + {_whole('redis_mem_clients_slaves')}", "replication"
            ),
            Query(f"clamp_min({_whole('redis_mem_fragmentation_bytes')}, 0)", "fragmentation"),
            unit="bytes",
            stacked=True,
            description="Memory of all chosen servers: data, tables of keys (overhead), buffers of clients, backlog "
            "and buffers of replicas, and fragmentation of the allocator. Data grows: look at the patterns below. "
            "Clients grow: look for clients that read slowly. Fragmentation grows: activedefrag yes.",
        ),
        width=24,
        height=8,
    )
    dashboard.add(_patterns_table(), width=24, height=9)


def _whole(metric: str) -> str:
    return f"sum(max {BY_TARGET} ({of(metric)}))"


def _patterns_table() -> table.Panel:
    newest = {name: f"max by ({_LABELS}) ({of(metric)})" for name, metric in _PARTS.items()}
    return table_panel(
        "Patterns of keys",
        [
            Column("Memory", newest["Memory"], "bytes"),
            Column("± memory", newest["± memory"], "bytes"),
            Column("Keys", newest["Keys"], COUNT, decimals=0),
            Column("± keys", newest["± keys"], COUNT, decimals=0),
            Column("Never expire", newest["Never expire"], "percentunit", decimals=0),
            Column("Idle (median)", newest["Idle (median)"], "s"),
        ],
        labels={"target": "Target", "db": "Database", "pattern": "Pattern", "type": "Type"},
        sort=[("Memory", True)],
        description="The newest estimate for each pattern of keys, the largest first. The true value lies within ± of "
        "it with 95 % certainty. other: keys of rare patterns. GET /keyspace of the exporter shows the same as a "
        "tree, with the largest keys. Empty when no target has the collector keyspace_sample.",
        no_value="keyspace_sample is off",
    )


_PARTS = {
    "Memory": MEMORY,
    "± memory": MEMORY_ERROR,
    "Keys": KEYS,
    "± keys": KEYS_ERROR,
    "Never expire": f"{_SAMPLE}_without_expiry_ratio",
    "Idle (median)": f"{_SAMPLE}_idle_seconds",
}


def _patterns(dashboard: Board) -> None:
    largest = f"max by ({_LABELS}) (max_over_time({of(MEMORY)}[{WHOLE}] @ end()))"
    dashboard.row("What fills it")
    dashboard.fill(
        graph_panel(
            "Memory by pattern",
            Query(top(worst(MEMORY, also=_ALSO), largest, _LABELS), _LEGEND),
            unit="bytes",
            stacked=True,
            description="The ten largest patterns. A band that grows fills the server: give its keys an expiry, or "
            "store less in them. The error of each estimate is in the table above.",
            empty=_NO_SAMPLE,
        ),
        graph_panel(
            "Growth beyond the error",
            Query(_growth(), _LEGEND),
            unit="bytes",
            description="What a pattern has gained or lost since the start of the chosen time, where that is more than "
            "its error. So noise of the samples is not drawn. A line far above 0: find the application that "
            "writes these keys.",
            empty=Empty("no pattern changed by more than its error, or keyspace_sample is off", "nothing changed"),
        ),
        graph_panel(
            "Largest key",
            Query(
                f"{worst(LARGEST, also=_ALSO)} / on ({_SERVER}) group_left () {worst('redis_memory_used_bytes')}",
                _LEGEND,
            ),
            unit="percentunit",
            limits=[(0.1, RED)],
            least_top=0.2,
            description="Share of the memory of the server in the largest key that the walk found, with its pattern. "
            "Above 10 % no shard can share the load, and commands on the key take long: split it into many keys.",
            empty=_NO_SAMPLE,
        ),
        graph_panel(
            "Keys without expiry",
            Query(
                top(
                    worst(f"{_SAMPLE}_without_expiry_ratio", also=_ALSO),
                    largest,
                    _LABELS,
                ),
                _LEGEND,
            ),
            unit="percentunit",
            least_top=1,
            description="Share of the keys of the ten largest patterns that never expire. A pattern that usually "
            "expires and has some keys that do not: a client forgets the expiry, for example by SET without KEEPTTL.",
            empty=_NO_SAMPLE,
        ),
        width=6,
        height=9,
    )


def _growth() -> str:
    value, error = worst(MEMORY, also=_ALSO), worst(MEMORY_ERROR, also=_ALSO)
    before = f"max by ({_LABELS}) ({of(MEMORY)} @ start())"
    before_error = f"max by ({_LABELS}) ({of(MEMORY_ERROR)} @ start())"
    change = f"({value} - {before})"
    return f"{change} and (abs{change} > sqrt({error} ^ 2 + {before_error} ^ 2))"


def _trust(dashboard: Board) -> None:
    dashboard.row("How sure these numbers are", collapsed=True)
    dashboard.fill(
        graph_panel(
            "Error, relative to the memory of the server",
            Query(
                f"sqrt(sum {BY_TARGET} ({worst(MEMORY_ERROR, also=_ALSO)} ^ 2)) / (sum {BY_TARGET} "
                f"({worst(MEMORY, also=_ALSO)}) > 0)",
                "{{target}}",
            ),
            unit="percentunit",
            description="Half width of the interval of 95 % for the sum of all patterns. It falls with the square root "
            "of the draws. Too large: raise keys_per_second, or the window.",
            empty=_NO_SAMPLE,
        ),
        graph_panel(
            "Not explained by the patterns",
            Query(worst(f"{_SAMPLE}_unexplained_bytes"), "{{target}}"),
            unit="bytes",
            description="The dataset that the server reports, less the sum of all patterns. Far above 0: a huge key "
            "that the walk has not visited yet, or memory of modules. Below 0: MEMORY USAGE counts overhead too.",
            empty=_NO_SAMPLE,
        ),
        graph_panel(
            "Walk over all keys",
            Query(worst(f"{_SAMPLE}_walk_progress_ratio"), "{{target}}"),
            unit="percentunit",
            least_top=1,
            description="Share of the keys that the running walk has visited. Rare and huge keys are certain only "
            "after one complete walk.",
            empty=_NO_SAMPLE,
        ),
        graph_panel(
            "Cost for the server",
            Query(worst(f"{_SAMPLE}_server_cpu_ratio"), "{{target}}"),
            Query(server_rate(f"{_SAMPLE}_draws_total"), "{{target}} draws"),
            unit="percentunit",
            description="Share of the server's main thread that looking at keys takes, measured. The setting "
            "server_share is the limit.",
            empty=_NO_SAMPLE,
        ),
        width=6,
        height=8,
    )


def _sizes(dashboard: Board) -> None:
    dashboard.row("Sizes of all keys (INFO keysizes)", collapsed=True)
    dashboard.fill(
        heatmap_panel(
            "Elements of a key",
            f"sum by (le) (max by (job, target, db, type, le) ({of('redis_key_size_items_bucket')}))",
            unit="none",
            description="All keys of the chosen servers by their number of elements, counted exactly by the server "
            "(Redis 8.0 and later). A band at the top is a few huge collections: commands on them take long.",
            empty=_NO_SIZES,
        ),
        graph_panel(
            "Keys with more than a million elements",
            Query(_huge_keys(), "{{target}} {{db}} {{type}}"),
            unit=COUNT,
            least_top=1,
            description="Collections with more than about a million elements. DEL on one of them blocks the server: "
            "use UNLINK. The walk of keyspace_sample finds their patterns.",
            empty=_NO_SIZES,
        ),
        width=12,
        height=8,
    )


def _huge_keys() -> str:
    def below(edge: str) -> str:
        return worst("redis_key_size_items_bucket", f'le="{edge}"', also="db, type")

    return f"{below('+Inf')} - {below('1048575')}"


def _heat(dashboard: Board) -> None:
    busiest = f"max by (job, target, cmd) ({increase(of('redis_commands_duration_seconds_total'), WHOLE)}) > 0"
    slowest = f"max by (job, target, client) ({increase(of('redis_slow_commands_by_client_total'), WHOLE)}) > 0"
    dashboard.row("What heats it")
    dashboard.fill(
        graph_panel(
            "CPU time by command",
            Query(
                top(server_rate("redis_commands_duration_seconds_total", also="cmd"), busiest, "job, target, cmd"),
                "{{target}} {{cmd}}",
            ),
            unit="percentunit",
            stacked=True,
            limits=[(1.0, RED)],
            description="Share of a second that the server spent in each command, the ten largest. The main thread is "
            "full at 100 %. Replace the largest by a cheaper command, or spread it over replicas.",
        ),
        graph_panel(
            "Frequency by pattern (LFU)",
            Query(
                top(
                    worst(f"{_SAMPLE}_frequency", also=_ALSO),
                    f"max by ({_LABELS}) (max_over_time({of(f'{_SAMPLE}_frequency')}[{WHOLE}] @ end()))",
                    _LABELS,
                ),
                _LEGEND,
            ),
            unit="none",
            description="Median of the access frequency of the keys of a pattern, 0 to 255 (OBJECT FREQ), the ten "
            "hottest. The counter is logarithmic. The top lines are the keys that clients read and write most.",
            empty=_NOT_LFU,
        ),
        graph_panel(
            "Clients of slow commands",
            Query(
                top(server_rate("redis_slow_commands_by_client_total", also="client"), slowest, "job, target, client"),
                "{{target}} {{client}}",
            ),
            unit="ops",
            stacked=True,
            description="Slow commands per second by the name of the client, the ten that sent most. Applications "
            "choose the name with CLIENT SETNAME. Ask the first one what it reads.",
            empty=Empty("no command took longer than slowlog-log-slower-than", "no slow command"),
        ),
        width=8,
        height=9,
    )
    dashboard.fill(
        graph_panel(
            "CPU time of hot keys by pattern",
            Query(_share_of_session("redis_hotkeys_key_cpu_seconds", "redis_hotkeys_session_cpu_seconds"), _HOT_LEGEND),
            unit="percentunit",
            least_top=1,
            description="Share of the CPU time of all commands that the hot keys of each pattern used, in the newest "
            "session of HOTKEYS. One pattern near 100 %: cache its keys in the clients, or split them.",
            empty=_NO_HOT_KEYS,
        ),
        graph_panel(
            "Network traffic of hot keys by pattern",
            Query(_share_of_session("redis_hotkeys_key_net_bytes", "redis_hotkeys_session_net_bytes"), _HOT_LEGEND),
            unit="percentunit",
            least_top=1,
            description="Share of the bytes of all commands that belong to the hot keys of each pattern, in the newest "
            "session of HOTKEYS. One pattern near 100 %: its values are large and often read. Store less in them.",
            empty=_NO_HOT_KEYS,
        ),
        width=12,
        height=8,
    )


def _share_of_session(metric: str, whole: str) -> str:
    return f"{worst(metric, also='pattern')} / on ({_SERVER}) group_left () ({worst(whole)} > 0)"
