"""Rows of the dashboard Instance about Cluster and Sentinel. They are collapsed: many servers use neither."""

from grafana.common import Board
from grafana.panels import COUNT, Empty, Query, State, graph_panel, states_panel
from grafana.promql import BY_TARGET, of, server_rate, where_any, worst
from grafana.variables import GREEN, ORANGE, RED

EPOCH = "redis_sentinel_failover_epoch"
NO_CLUSTER = Empty("no chosen server is in cluster mode", "no cluster")
NO_SENTINEL = Empty("no chosen server is a Sentinel", "no Sentinel")
SLOTS = 16384


def rows(dashboard: Board) -> None:
    """Add the rows to the dashboard."""
    _cluster(dashboard)
    _sentinel(dashboard)


def _cluster(dashboard: Board) -> None:
    bus = "redis_cluster_bus_messages_total"
    dashboard.row("Cluster, as each chosen node sees it", collapsed=True)
    dashboard.fill(
        states_panel(
            "Cluster state",
            Query(f"min {BY_TARGET} ({of('redis_cluster_state')})", "{{target}}"),
            states=[State(1, "ok", GREEN), State(0, "fail", RED)],
            description="fail: the node refuses commands with CLUSTERDOWN, because slots have no master or the node "
            "is isolated. Look at CLUSTER NODES on it, and check whether the bus port (port + 10000) is "
            "reachable.",
            empty=NO_CLUSTER,
        ),
        graph_panel(
            "Slots not served",
            Query(f"{SLOTS} - {worst('redis_cluster_slots_ok')}", "{{target}}"),
            unit=COUNT,
            least_top=1,
            limits=[(1, RED)],
            description="Slots, of 16384, that no healthy master serves. Their keys cannot be reached. The cause is "
            "a failed master without a replica. Bring it back, or run CLUSTER FAILOVER TAKEOVER on a copy of "
            "its data.",
            empty=NO_CLUSTER,
        ),
        graph_panel(
            "Slots of suspected and failed nodes",
            Query(worst("redis_cluster_slots_pfail"), "{{target}} slots suspected"),
            Query(worst("redis_cluster_slots_fail"), "{{target}} slots failed"),
            unit=COUNT,
            least_top=1,
            description="Slots of nodes that this node suspects, or that the majority reports as failed. Suspected "
            "on one node only: the network between two nodes.",
            empty=NO_CLUSTER,
        ),
        width=8,
        height=7,
    )
    dashboard.fill(
        graph_panel(
            "Known nodes and masters with slots",
            Query(worst("redis_cluster_known_nodes"), "{{target}} known nodes"),
            Query(worst("redis_cluster_size"), "{{target}} masters"),
            unit=COUNT,
            description="All nodes should report the same number. A node with fewer was reset or is isolated. A node "
            "with more still lists a removed node: run CLUSTER FORGET.",
            empty=NO_CLUSTER,
        ),
        graph_panel(
            "Messages of the cluster bus",
            Query(
                where_any(f"sum by (kind) ({server_rate(bus, also='kind, direction')})", of(bus), "kind"), "{{kind}}"
            ),
            unit="cps",
            description="Gossip messages per second, sent and received. ping and pong are normal. fail and auth-req: "
            "a failover is in progress. update: a node has an old view of the slots.",
            empty=NO_CLUSTER,
        ),
        width=12,
        height=7,
    )


def _sentinel(dashboard: Board) -> None:
    dashboard.row("Sentinel, as each chosen Sentinel sees it", collapsed=True)
    status = "redis_sentinel_master_status"
    ok, suspected, other = (of(status, f"master_status{one}") for one in ('="ok"', '="sdown"', '!~"ok|sdown"'))
    name = "{{target}}: {{master_name}}"
    dashboard.fill(
        states_panel(
            "Master, as Sentinel sees it",
            Query(f"max by (job, target, master_name) ({ok} - 1 or {suspected} or 2 * {other})", name),
            states=[State(0, "ok", GREEN), State(1, "subjectively down", ORANGE), State(2, "objectively down", RED)],
            description="Subjectively down: this Sentinel gets no reply from the master. Objectively down: the "
            "quorum agrees, and a failover begins. If it stays red, no failover succeeds: check that there are "
            "replicas and a majority of Sentinels.",
            empty=NO_SENTINEL,
        ),
        states_panel(
            "Quorum",
            Query(f"min by (job, target, master_name) ({of('redis_sentinel_master_ckquorum_status')})", name),
            states=[State(1, "reached", GREEN), State(0, "lost", RED)],
            description="Red: too few Sentinels are left to agree on a failover or to authorise it. If the master "
            "fails now, no replica is promoted. Bring the missing Sentinels back, and look at SENTINEL CKQUORUM.",
            empty=NO_SENTINEL,
        ),
        graph_panel(
            "Healthy replicas and Sentinels",
            Query(worst("redis_sentinel_master_ok_slaves", also="master_name"), f"{name} replicas"),
            Query(worst("redis_sentinel_master_ok_sentinels", also="master_name"), f"{name} Sentinels"),
            unit=COUNT,
            description="How many replicas could become master, and how many Sentinels could decide it. No replica: "
            "a failover has no server to promote. It should equal what you deployed. A Sentinel with a lower "
            "number is isolated.",
            empty=NO_SENTINEL,
        ),
        graph_panel(
            "Failovers",
            Query(f"max by (job, target, master_name) (changes({of(EPOCH)}[$__rate_interval]))", name),
            unit=COUNT,
            least_top=1,
            description="Changes of a master's configuration epoch, which rises by one with each failover. Look at "
            "the log of Sentinel for the reason. Several in a row: down-after-milliseconds is too short for "
            "this network path.",
            empty=NO_SENTINEL,
        ),
        graph_panel(
            "Time since the master answered this Sentinel",
            Query(worst("redis_sentinel_master_last_ok_ping_reply_seconds", also="master_name"), name),
            Query(worst("redis_sentinel_master_down_after_seconds", also="master_name"), f"{name} limit"),
            unit="s",
            description="At the limit (down-after-milliseconds) the Sentinel reports the master as down. Peaks near "
            "the limit: a slow or blocked master, or a limit that is too low.",
            empty=NO_SENTINEL,
        ),
        states_panel(
            "TILT",
            Query(f"max {BY_TARGET} ({of('redis_sentinel_tilt')})", "{{target}}"),
            states=[State(0, "normal", GREEN), State(1, "TILT", RED)],
            description="Red: the Sentinel saw a jump of its clock, or was itself stopped for long, and does nothing "
            "for 30 s. Look at its host: time synchronisation, CPU steal, suspended virtual machines.",
            empty=NO_SENTINEL,
        ),
        width=8,
        height=7,
    )
