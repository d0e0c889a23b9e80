"""Rows of Instance: who stands behind the server when it dies: replicas, and what is on disk."""

from grafana.common import Board
from grafana.panels import COUNT, Empty, Query, State, graph_panel, states_panel
from grafana.promql import BY_TARGET, of, worst
from grafana.variables import BLUE, GREEN, RED

NO_REPLICAS = Empty("no chosen server has a replica", "no replica")
ALONE = Empty("no chosen server has a replica or is one", "no replication")


def rows(made: Board) -> None:
    """Add the rows to the dashboard."""
    _replication(made)
    _persistence(made)


def _replication(made: Board) -> None:
    made.row("Replication")
    full, partial = "redis_replica_full_resyncs_total", "redis_replica_partial_resyncs_accepted_total"
    made.fill(
        states_panel(
            "Role",
            Query(worst("redis_role", 'role="master"'), "{{target}}"),
            states=[State(1, "master", BLUE), State(0, "replica or Sentinel", "purple")],
            description="Who was master when. A change is a failover or a REPLICAOF: compare it with the marks and "
            "with the log of Sentinel. Two masters in one set at once: follow docs/runbooks/ of RedisSplitBrain.",
        ),
        states_panel(
            "Link to the master",
            Query(f"min {BY_TARGET} ({of('redis_master_link_up')})", "{{target}}"),
            states=[State(1, "up", GREEN), State(0, "down", RED)],
            description="Red: the replica does not follow and serves the past. Look at its log, at masterauth, and at "
            "client-output-buffer-limit of its master; each new link may cost a full resynchronisation.",
            empty=Empty("no chosen server is a replica", "no replica"),
        ),
        graph_panel(
            "Lag in bytes",
            Query(worst("redis_replica_lag_bytes", also="slave_ip, slave_port"), "{{slave_ip}}:{{slave_port}}"),
            unit="bytes",
            description="Bytes that a replica has not confirmed yet, as its master sees it. Near the size of the "
            "backlog a lost link costs a full resynchronisation: raise repl-backlog-size, or find what holds it up.",
            empty=NO_REPLICAS,
        ),
        graph_panel(
            "Lag in seconds",
            Query(worst("redis_replica_lag_seconds", also="slave_ip, slave_port"), "{{slave_ip}}:{{slave_port}}"),
            Query(worst("redis_master_last_io_seconds_ago"), "{{target}} heard its master"),
            unit="s",
            limits=[(10, RED)],
            least_top=12,
            description="Since when a replica confirmed nothing, and since when it heard nothing of its master. Beyond "
            "the dashed line RedisReplicationLagSeconds begins: the network, or a replica that is busy or hung.",
            empty=ALONE,
        ),
        graph_panel(
            "Resynchronisations",
            Query(f"max {BY_TARGET} (increase({of(full)}[$__rate_interval]))", "{{target}} full"),
            Query(f"max {BY_TARGET} (increase({of(partial)}[$__rate_interval]))", "{{target}} partial"),
            unit=COUNT,
            least_top=1,
            description="Replicas that began anew. A full one forks the master and sends everything; several in an "
            "hour are a storm: raise repl-backlog-size and client-output-buffer-limit for replicas.",
        ),
        graph_panel(
            "Backlog",
            Query(worst("redis_repl_backlog_history_bytes"), "{{target}} held"),
            Query(worst("redis_replication_backlog_bytes"), "{{target}} limit"),
            unit="bytes",
            description="What a replica can catch up with after a lost link. It should hold a minute of “Replication "
            "traffic”: set repl-backlog-size accordingly.",
        ),
        width=8,
        height=7,
    )


def _persistence(made: Board) -> None:
    made.row("Persistence")
    made.fill(
        graph_panel(
            "Age of the last snapshot",
            Query(f"time() - {worst('redis_rdb_last_save_timestamp_seconds')}", "{{target}}"),
            unit="s",
            description="What a crash would lose where only snapshots are kept; since the start when there was none. "
            "Older than the shortest save interval with changes beside it: see “Is writing to disk working”.",
        ),
        graph_panel(
            "Changes since the last snapshot",
            Query(worst("redis_rdb_changes_since_last_save"), "{{target}}"),
            unit=COUNT,
            description="Writes that are not in a snapshot yet. It climbs without end when snapshots are switched off "
            "or fail; right for a cache, a risk for a store without an append-only file.",
        ),
        states_panel(
            "Is writing to disk working",
            Query(f"min {BY_TARGET} ({of('redis_rdb_last_bgsave_status')})", "{{target}} RDB"),
            Query(f"min {BY_TARGET} ({of('redis_aof_last_write_status')})", "{{target}} AOF"),
            states=[State(1, "works", GREEN), State(0, "fails", RED)],
            description="Red: with the defaults writes are refused with MISCONF. Look at free disk space, permissions "
            "of the data directory, and overcommit_memory of the host (a fork needs it).",
        ),
        graph_panel(
            "Forks and slow disks",
            Query(worst("redis_latest_fork_seconds"), "{{target}} last fork"),
            Query(f"{worst('redis_rdb_last_bgsave_duration_sec')} >= 0", "{{target}} last snapshot"),
            unit="s",
            least_top=0.1,
            description="While it forks, a server answers nobody: some 10 ms for each GB, more with huge pages (switch "
            "them off). A snapshot that takes longer and longer: the disk, or memory copied on write.",
        ),
        width=6,
        height=8,
    )
