"""Rows of Fleet overview for clusters and Sentinel sets that were declared as a whole, and found node by node."""

from grafana.common import Board
from grafana.panels import COUNT, Empty, Query, State, graph_panel, states_panel
from grafana.promql import increase, own, rate
from grafana.variables import GREEN, ORANGE, RED

NO_CLUSTER = Empty("no cluster is declared as a target", "no cluster declared")
NO_SET = Empty("no Sentinel set is declared as a target", "no Sentinel set declared")
UNCOVERED, UNWELL = 'state!="covered"', 'state!="ok"'
CLUSTER, SET = "{{cluster}}", "{{sentinel}}: {{master}}"


def rows(made: Board) -> None:
    """Add the rows to the dashboard; collapsed, for many have neither."""
    _clusters(made)
    _sentinels(made)


def _clusters(made: Board) -> None:
    made.row("Clusters as a whole", collapsed=True)
    slots, nodes = "redis_cluster_topology_slots", "redis_cluster_topology_nodes"
    made.fill(
        graph_panel(
            "Slots that are not covered",
            Query(f"max by (cluster, state) ({own(slots, UNCOVERED)})", "{{cluster}} {{state}}"),
            unit=COUNT,
            limits=[(1, RED)],
            least_top=1,
            description="Of 16384 slots, those that no master serves, as most nodes see it; their keys cannot be read. "
            "failing: its master is down, see which node below. unassigned: give them to a node, CLUSTER ADDSLOTS.",
            empty=NO_CLUSTER,
        ),
        graph_panel(
            "Nodes that are not well",
            Query(f"max by (cluster, role, state) ({own(nodes, UNWELL)})", "{{cluster}} {{role}} {{state}}"),
            unit=COUNT,
            limits=[(1, RED)],
            least_top=1,
            description="Nodes that are suspected (pfail), held to be down by most (fail), or without address. A "
            "master that failed and still counts as master: no replica could take over.",
            empty=NO_CLUSTER,
        ),
        graph_panel(
            "Least replicas of a shard",
            Query(f"min by (cluster) ({own('redis_cluster_topology_shard_replicas')})", CLUSTER),
            unit=COUNT,
            least_top=2,
            description="Replicas in order, of the shard that has the fewest. At 0 the next failure of that master "
            "loses its slots: add a replica, or let replicas migrate (cluster-migration-barrier).",
            empty=NO_CLUSTER,
        ),
        graph_panel(
            "Nodes that see it otherwise",
            Query(f"max by (cluster) ({own('redis_cluster_topology_disagreeing_nodes')})", CLUSTER),
            unit=COUNT,
            limits=[(1, ORANGE)],
            least_top=1,
            description="Nodes that disagree with most about who is master of what. For some seconds after a failover "
            "this is right; if it stays, that node is cut off from the cluster bus (port + 10000).",
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
            description="Nodes that came and went, failovers (role), moves of slots. Together with worse latency it is "
            "the reason; again and again without your doing: the network between nodes, or cluster-node-timeout.",
            empty=NO_CLUSTER,
        ),
        graph_panel(
            "Nodes by role",
            Query(f"max by (cluster, role) (sum without (state) ({own(nodes)}))", "{{cluster}} {{role}}"),
            unit=COUNT,
            description="Masters and replicas, well or not. Fewer than you deployed: a node was forgotten or never "
            "joined; more: one that is gone is still remembered, CLUSTER FORGET it on every node.",
            empty=NO_CLUSTER,
        ),
        width=8,
        height=7,
    )


def _sentinels(made: Board) -> None:
    made.row("Sentinel sets as a whole", collapsed=True)
    by_set = "by (sentinel, master)"
    made.fill(
        graph_panel(
            "Time without a master",
            Query(f"max {by_set} ({rate(own('redis_sentinel_master_missing_seconds_total'))})", SET),
            unit="percentunit",
            least_top=1,
            description="Share of the time during which a client would have found no master that takes writes. It is "
            "what a failover costs: shorten down-after-milliseconds if it is too long, not below stalls you have.",
            empty=NO_SET,
        ),
        graph_panel(
            "Failovers of each set",
            Query(f"max {by_set} ({increase(own('redis_sentinel_failovers_total'))})", SET),
            unit=COUNT,
            least_top=1,
            description="Masters that were replaced. One is a dead master or a restart; several in a row: the "
            "timeouts are too tight for this path, or the new master is overloaded at once.",
            empty=NO_SET,
        ),
        graph_panel(
            "How long the last failover took",
            Query(f"max {by_set} ({own('redis_sentinel_last_failover_seconds')})", SET),
            unit="s",
            description="From the last good answer of the old master to the first of the new one, as a client sees it. "
            "Mostly down-after-milliseconds and some seconds; clients must try again for as long.",
            empty=Empty("no set failed over yet", "no failover yet"),
        ),
        states_panel(
            "Quorum of each set",
            Query(f"min {by_set} ({own('redis_sentinel_quorum_ok')})", SET),
            states=[State(1, "reached", GREEN), State(0, "lost", RED)],
            description="Red: too few Sentinels are there to agree on a failover; a master that dies now stays dead. "
            "Bring the missing ones back, see beside it which.",
            empty=NO_SET,
        ),
        states_panel(
            "Sentinels",
            Query(f"max by (sentinel, address) ({own('redis_sentinel_watch_up')})", "{{sentinel}} {{address}}"),
            states=[State(1, "answers", GREEN), State(0, "does not", RED)],
            description="Which of the Sentinels answers us. Red: the process, its host or the network; one of three "
            "may be away, two of three may not.",
            empty=NO_SET,
        ),
        graph_panel(
            "Sentinels that name another master",
            Query(f"max {by_set} ({own('redis_sentinel_disagreeing')})", SET),
            unit=COUNT,
            limits=[(1, ORANGE)],
            least_top=1,
            description="For some seconds after a failover this is right. If it stays, clients that ask that Sentinel "
            "write to the wrong server: restart it, or SENTINEL RESET on it.",
            empty=NO_SET,
        ),
        width=8,
        height=7,
    )
