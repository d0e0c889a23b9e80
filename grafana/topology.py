"""Rows of the dashboard Fleet overview for clusters and Sentinel sets that the exporter discovers node by node."""

from grafana.common import Board
from grafana.panels import COUNT, Empty, Query, State, graph_panel, states_panel
from grafana.promql import increase, own, rate
from grafana.variables import GREEN, ORANGE, RED

NO_CLUSTER = Empty("no cluster is declared as a target", "no cluster declared")
NO_SET = Empty("no Sentinel set is declared as a target", "no Sentinel set declared")
UNCOVERED, UNHEALTHY = 'state!="covered"', 'state!="ok"'
CLUSTER, SET = "{{cluster}}", "{{sentinel}}: {{master}}"


def rows(dashboard: Board) -> None:
    """Add the rows to the dashboard. They are collapsed: many fleets have neither."""
    _clusters(dashboard)
    _sentinels(dashboard)


def _clusters(dashboard: Board) -> None:
    dashboard.row("Clusters as a whole", collapsed=True)
    slots, nodes = "redis_cluster_topology_slots", "redis_cluster_topology_nodes"
    dashboard.fill(
        graph_panel(
            "Slots that are not covered",
            Query(f"max by (cluster, state) ({own(slots, UNCOVERED)})", "{{cluster}} {{state}}"),
            unit=COUNT,
            limits=[(1, RED)],
            least_top=1,
            description="Slots, of 16384, that no master serves, as most nodes report them. Their keys cannot be "
            "read. failing: the master is down, “Unhealthy nodes” shows more. unassigned: give the slots to a "
            "node with CLUSTER ADDSLOTS.",
            empty=NO_CLUSTER,
        ),
        graph_panel(
            "Unhealthy nodes",
            Query(f"max by (cluster, role, state) ({own(nodes, UNHEALTHY)})", "{{cluster}} {{role}} {{state}}"),
            unit=COUNT,
            limits=[(1, RED)],
            least_top=1,
            description="Nodes that are suspected (pfail), that most nodes report as down (fail), or that have no "
            "address. A failed node that is still a master: no replica could be promoted.",
            empty=NO_CLUSTER,
        ),
        graph_panel(
            "Fewest replicas of a shard",
            Query(f"min by (cluster) ({own('redis_cluster_topology_shard_replicas')})", CLUSTER),
            unit=COUNT,
            least_top=2,
            description="Healthy replicas of the shard that has the fewest. At 0, the next failure of this master "
            "loses its slots: add a replica, or let replicas migrate (cluster-migration-barrier).",
            empty=NO_CLUSTER,
        ),
        graph_panel(
            "Nodes that disagree",
            Query(f"max by (cluster) ({own('redis_cluster_topology_disagreeing_nodes')})", CLUSTER),
            unit=COUNT,
            limits=[(1, ORANGE)],
            least_top=1,
            description="Nodes that disagree with most nodes about the masters of the slots. This is normal for some "
            "seconds after a failover. If it stays, the node is isolated from the cluster bus (port + 10000).",
            empty=NO_CLUSTER,
        ),
        graph_panel(
            "Changes of the topology",
            Query(
                f"max by (cluster, change) ({increase(own('redis_cluster_topology_changes_total'))})",
                "{{cluster}} {{change}}",
            ),
            unit=COUNT,
            stacked=True,
            description="Added and removed nodes, failovers (role) and moved slots. Worse latency at the same time "
            "has this cause. Repeated changes without your action: the network between nodes, or "
            "cluster-node-timeout.",
            empty=NO_CLUSTER,
        ),
        graph_panel(
            "Nodes by role",
            Query(f"max by (cluster, role) (sum without (state) ({own(nodes)}))", "{{cluster}} {{role}}"),
            unit=COUNT,
            description="Masters and replicas, healthy or not. Fewer than you deployed: a node was forgotten or "
            "never joined. More: a removed node is still listed, run CLUSTER FORGET for it on every node.",
            empty=NO_CLUSTER,
        ),
        width=8,
        height=7,
    )


def _sentinels(dashboard: Board) -> None:
    dashboard.row("Sentinel sets as a whole", collapsed=True)
    by_set = "by (sentinel, master)"
    dashboard.fill(
        graph_panel(
            "Time without a master",
            Query(f"max {by_set} ({rate(own('redis_sentinel_master_missing_seconds_total'))})", SET),
            unit="percentunit",
            least_top=1,
            description="Share of the time during which a client would have found no master that accepts writes. "
            "This is the cost of a failover. If it is too long, lower down-after-milliseconds, but not below "
            "your normal stalls.",
            empty=NO_SET,
        ),
        graph_panel(
            "Failovers of each set",
            Query(f"max {by_set} ({increase(own('redis_sentinel_failovers_total'))})", SET),
            unit=COUNT,
            least_top=1,
            description="Masters that were replaced. One: a failed master or a restart. Several in a row: the "
            "timeouts are too short for this network path, or the new master is overloaded at once.",
            empty=NO_SET,
        ),
        graph_panel(
            "How long the last failover took",
            Query(f"max {by_set} ({own('redis_sentinel_last_failover_seconds')})", SET),
            unit="s",
            description="Time from the last successful reply of the old master to the first of the new one, as a "
            "client sees it. It is mostly down-after-milliseconds and some seconds. Clients must retry for at "
            "least this time.",
            empty=Empty("no set has failed over yet", "no failover yet"),
        ),
        states_panel(
            "Quorum of each set",
            Query(f"min {by_set} ({own('redis_sentinel_quorum_ok')})", SET),
            states=[State(1, "reached", GREEN), State(0, "lost", RED)],
            description="Red: too few Sentinels are available to agree on a failover. If the master fails now, no "
            "replica is promoted. Bring the missing ones back: “Sentinels” shows which.",
            empty=NO_SET,
        ),
        states_panel(
            "Sentinels",
            Query(f"max by (sentinel, address) ({own('redis_sentinel_watch_up')})", "{{sentinel}} {{address}}"),
            states=[State(1, "answers", GREEN), State(0, "does not answer", RED)],
            description="Which Sentinels answer the exporter. Red: the process, its host or the network. One of "
            "three may be down, two of three may not.",
            empty=NO_SET,
        ),
        graph_panel(
            "Sentinels that name another master",
            Query(f"max {by_set} ({own('redis_sentinel_disagreeing')})", SET),
            unit=COUNT,
            limits=[(1, ORANGE)],
            least_top=1,
            description="This is normal for some seconds after a failover. If it stays, clients of this Sentinel "
            "write to the wrong server: restart it, or run SENTINEL RESET on it.",
            empty=NO_SET,
        ),
        width=8,
        height=7,
    )
