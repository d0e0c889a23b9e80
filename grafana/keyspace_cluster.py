"""Row of the dashboard "What fills it, what heats it": the busiest slots, and how evenly the shards are loaded."""

from grafana.common import Board
from grafana.panels import Empty, Query, graph_panel
from grafana.promql import WHOLE, increase, of, rate, server_rate, top, worst
from grafana.variables import ORANGE, RED

_NO_SLOTS = Empty(
    "no target has the collector slot_stats, or cluster-slot-stats-enabled is no on the servers", "slot_stats is off"
)
_NO_SHARDS = Empty("no chosen server is the primary of a cluster", "no cluster")
_BY_SLOT = "job, target, slot"
_LEGEND = "{{target}} slot {{slot}}"


def row(dashboard: Board) -> None:
    """Add the row. It is collapsed, because many servers are no cluster nodes."""
    dashboard.row("Cluster: slots and shards", collapsed=True)
    cpu, received, sent = (
        f"redis_slot_{name}_total" for name in ("cpu_seconds", "net_input_bytes", "net_output_bytes")
    )
    most = f"max by ({_BY_SLOT}) ({increase(of(cpu), WHOLE)}) > 0"
    most_bytes = f"max by ({_BY_SLOT}) ({increase(of(received), WHOLE)} + {increase(of(sent), WHOLE)}) > 0"
    dashboard.fill(
        graph_panel(
            "CPU time by slot",
            Query(top(server_rate(cpu, also="slot"), most, _BY_SLOT), _LEGEND),
            unit="percentunit",
            limits=[(0.2, RED)],
            description="Share of a core that the commands of a slot used, the ten busiest. Above 20 %: one key is "
            "hot, or a hash tag {…} binds many keys to this slot. More shards do not help, other key names do.",
            empty=_NO_SLOTS,
        ),
        graph_panel(
            "Bytes by slot",
            Query(top(f"max by ({_BY_SLOT}) ({rate(of(received))} + {rate(of(sent))})", most_bytes, _BY_SLOT), _LEGEND),
            unit="binBps",
            description="Bytes received and sent for a slot, the ten with the most. Far above the others: large values "
            "are read often. Store less in them, or cache them in the clients.",
            empty=_NO_SLOTS,
        ),
        graph_panel(
            "Shards: CPU time against the mean",
            Query(_against_the_mean(_main_thread()), "{{target}}"),
            unit="percentunit",
            limits=[(1.5, ORANGE)],
            description="CPU time of the main thread of each chosen primary, divided by the mean of them all. 100 % on "
            "all: the load is even. Far above: move slots to other shards, or look for a hot slot. Choose the nodes of "
            "one cluster.",
            empty=_NO_SHARDS,
        ),
        graph_panel(
            "Shards: memory against the mean",
            Query(_against_the_mean(worst("redis_memory_used_bytes")), "{{target}}"),
            unit="percentunit",
            limits=[(1.5, ORANGE)],
            description="Memory of each chosen primary, divided by the mean of them all. Far above the others: huge "
            "keys or hash tags. Slots with as many keys on each shard do not help then: split the keys.",
            empty=_NO_SHARDS,
        ),
        width=12,
        height=8,
    )


def _main_thread() -> str:
    user, kernel = (server_rate(f"redis_cpu_{mode}_main_thread_seconds_total") for mode in ("user", "sys"))
    return f"{user} + {kernel}"


def _against_the_mean(expr: str) -> str:
    """Return the values of the primaries of clusters, divided by their mean."""
    primaries = f"({expr}) and on (job, target) ({_is_primary()})"
    return f"({primaries}) / on (job) group_left () avg by (job) ({primaries})"


def _is_primary() -> str:
    role = worst("redis_role", 'role="master"')
    return f"{worst('redis_cluster_enabled')} == 1 and on (job, target) {role} == 1"
