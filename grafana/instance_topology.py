"""Rows of Instance that many servers do not have, so they are collapsed: cluster and Sentinel."""

from grafana.common import Board
from grafana.panels import COUNT, Empty, Query, State, graph_panel, states_panel
from grafana.promql import BY_TARGET, of, server_rate, where_any, worst
from grafana.variables import GREEN, ORANGE, RED

EPOCH = "redis_sentinel_failover_epoch"
NO_CLUSTER = Empty("no chosen server is in cluster mode", "no cluster")
NO_SENTINEL = Empty("no chosen server is a Sentinel", "no Sentinel")
SLOTS = 16384


def rows(made: Board) -> None:
    """Add the rows to the dashboard."""
    _cluster(made)
    _sentinel(made)


def _cluster(made: Board) -> None:
    bus = "redis_cluster_bus_messages_total"
    made.row("Cluster, as each chosen node sees it", collapsed=True)
    made.fill(
        states_panel(
            "Cluster state",
            Query(f"min {BY_TARGET} ({of('redis_cluster_state')})", "{{target}}"),
            states=[State(1, "ok", GREEN), State(0, "fail", RED)],
            description="fail: the node refuses commands with CLUSTERDOWN, since slots have no master or the node is "
            "cut off. See CLUSTER NODES on it, and whether the bus port (port + 10000) is reachable.",
            empty=NO_CLUSTER,
        ),
        graph_panel(
            "Slots not served",
            Query(f"{SLOTS} - {worst('redis_cluster_slots_ok')}", "{{target}}"),
            unit=COUNT,
            least_top=1,
            limits=[(1, RED)],
            description="Of 16384 slots, those that no healthy master serves; keys in them cannot be reached. A failed "
            "master without a replica: bring it back, or CLUSTER FAILOVER TAKEOVER on a copy of its data.",
            empty=NO_CLUSTER,
        ),
        graph_panel(
            "Slots of suspected and failed nodes",
            Query(worst("redis_cluster_slots_pfail"), "{{target}} slots suspected"),
            Query(worst("redis_cluster_slots_fail"), "{{target}} slots failed"),
            unit=COUNT,
            least_top=1,
            description="Slots of nodes that this node suspects, or that the majority holds to have failed. Suspected "
            "on one node only: the network between two of them.",
            empty=NO_CLUSTER,
        ),
        width=8,
        height=7,
    )
    made.fill(
        graph_panel(
            "Known nodes and masters with slots",
            Query(worst("redis_cluster_known_nodes"), "{{target}} knows"),
            Query(worst("redis_cluster_size"), "{{target}} masters"),
            unit=COUNT,
            description="All nodes should know the same number. One that knows fewer was reset or is cut off; one that "
            "knows more remembers a node that is gone: CLUSTER FORGET.",
            empty=NO_CLUSTER,
        ),
        graph_panel(
            "Messages of the cluster bus",
            Query(
                where_any(f"sum by (kind) ({server_rate(bus, also='kind, direction')})", of(bus), "kind"), "{{kind}}"
            ),
            unit="cps",
            description="Gossip per second, sent and received. ping and pong are the background; fail and auth-req are "
            "a failover on its way, update a node with an old view of the slots.",
            empty=NO_CLUSTER,
        ),
        width=12,
        height=7,
    )


def _sentinel(made: Board) -> None:
    made.row("Sentinel, as each chosen Sentinel sees it", collapsed=True)
    status = "redis_sentinel_master_status"
    ok, suspected, other = (of(status, f"master_status{one}") for one in ('="ok"', '="sdown"', '!~"ok|sdown"'))
    name = "{{target}}: {{master_name}}"
    made.fill(
        states_panel(
            "Master, as Sentinel sees it",
            Query(f"max by (job, target, master_name) ({ok} - 1 or {suspected} or 2 * {other})", name),
            states=[State(0, "ok", GREEN), State(1, "subjectively down", ORANGE), State(2, "objectively down", RED)],
            description="Subjectively down: this Sentinel hears nothing of the master. Objectively: the quorum agrees, "
            "and a failover begins. If it stays red, no failover succeeds: are there replicas, and a majority of "
            "Sentinels?",
            empty=NO_SENTINEL,
        ),
        states_panel(
            "Quorum",
            Query(f"min by (job, target, master_name) ({of('redis_sentinel_master_ckquorum_status')})", name),
            states=[State(1, "reached", GREEN), State(0, "lost", RED)],
            description="Red: there are too few Sentinels to agree on a failover or to authorise one; a master that "
            "dies now stays dead. Bring the missing Sentinels back, see SENTINEL CKQUORUM.",
            empty=NO_SENTINEL,
        ),
        graph_panel(
            "Replicas and Sentinels that are well",
            Query(worst("redis_sentinel_master_ok_slaves", also="master_name"), f"{name} replicas"),
            Query(worst("redis_sentinel_master_ok_sentinels", also="master_name"), f"{name} Sentinels"),
            unit=COUNT,
            description="How many could take over, and how many could decide so. No replica: a failover has nobody to "
            "promote. It should equal what you deployed; a Sentinel that knows fewer was cut off.",
            empty=NO_SENTINEL,
        ),
        graph_panel(
            "Failovers",
            Query(f"max by (job, target, master_name) (changes({of(EPOCH)}[$__rate_interval]))", name),
            unit=COUNT,
            least_top=1,
            description="Changes of a master's configuration epoch, which is one more with each failover. Look at the "
            "log of Sentinel for the reason; several in a row: down-after-milliseconds is too short for this path.",
            empty=NO_SENTINEL,
        ),
        graph_panel(
            "Time since the master answered this Sentinel",
            Query(worst("redis_sentinel_master_last_ok_ping_reply_seconds", also="master_name"), name),
            Query(worst("redis_sentinel_master_down_after_seconds", also="master_name"), f"{name} limit"),
            unit="s",
            description="When it reaches the limit (down-after-milliseconds) the Sentinel holds the master to be down. "
            "Peaks that come near: a slow or blocked master, or a limit that is too tight.",
            empty=NO_SENTINEL,
        ),
        states_panel(
            "TILT",
            Query(f"max {BY_TARGET} ({of('redis_sentinel_tilt')})", "{{target}}"),
            states=[State(0, "acts", GREEN), State(1, "does not trust its clock", RED)],
            description="Red: the Sentinel saw its clock jump or was itself stopped for long, and acts on nothing for "
            "30 s. Look at its host: time synchronisation, CPU steal, suspended virtual machines.",
            empty=NO_SENTINEL,
        ),
        width=8,
        height=7,
    )
