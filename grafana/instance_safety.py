"""Rows of the dashboard Instance about what remains if the server fails: replicas, and data on disk."""

from grafana.common import Board
from grafana.panels import COUNT, Empty, Query, State, graph_panel, states_panel
from grafana.promql import BY_TARGET, of, worst
from grafana.variables import BLUE, GREEN, RED

NO_REPLICAS = Empty("no chosen server has a replica", "no replica")
ALONE = Empty("no chosen server has a replica or is one", "no replication")


def rows(dashboard: Board) -> None:
    """Add the rows to the dashboard."""
    _replication(dashboard)
    _persistence(dashboard)


def _replication(dashboard: Board) -> None:
    dashboard.row("Replication")
    full, partial = "redis_replica_full_resyncs_total", "redis_replica_partial_resyncs_accepted_total"
    dashboard.fill(
        states_panel(
            "Role",
            Query(worst("redis_role", 'role="master"'), "{{target}}"),
            states=[State(1, "master", BLUE), State(0, "replica or Sentinel", "purple")],
            description="Which servers were master at which time. A change is a failover or a REPLICAOF: compare it "
            "with the annotations and with the log of Sentinel. Two masters in one set at once: follow "
            "docs/runbooks/RedisSplitBrain.md.",
        ),
        states_panel(
            "Link to the master",
            Query(f"min {BY_TARGET} ({of('redis_master_link_up')})", "{{target}}"),
            states=[State(1, "up", GREEN), State(0, "down", RED)],
            description="Red: the replica does not follow its master and serves old data. Look at its log, at "
            "masterauth, and at client-output-buffer-limit of its master. Each new link may cost a full "
            "resynchronisation.",
            empty=Empty("no chosen server is a replica", "no replica"),
        ),
        graph_panel(
            "Lag in bytes",
            Query(worst("redis_replica_lag_bytes", also="slave_ip, slave_port"), "{{slave_ip}}:{{slave_port}}"),
            unit="bytes",
            description="Bytes that a replica has not confirmed yet, as its master reports it. Near the size of the "
            "backlog, a lost link costs a full resynchronisation. Raise repl-backlog-size, or find what slows "
            "the replica down.",
            empty=NO_REPLICAS,
        ),
        graph_panel(
            "Lag in seconds",
            Query(worst("redis_replica_lag_seconds", also="slave_ip, slave_port"), "{{slave_ip}}:{{slave_port}}"),
            Query(worst("redis_master_last_io_seconds_ago"), "{{target}} last I/O with its master"),
            unit="s",
            limits=[(10, RED)],
            least_top=12,
            description="Time since a replica last confirmed anything, and time since it last received anything from "
            "its master. Above the dashed line RedisReplicationLagSeconds fires. Causes: the network, or a "
            "replica that is busy or hangs.",
            empty=ALONE,
        ),
        graph_panel(
            "Resynchronisations",
            Query(f"max {BY_TARGET} (increase({of(full)}[$__rate_interval]))", "{{target}} full"),
            Query(f"max {BY_TARGET} (increase({of(partial)}[$__rate_interval]))", "{{target}} partial"),
            unit=COUNT,
            least_top=1,
            description="Replicas that synchronised again. For a full one the master forks and sends everything. "
            "Several of them in an hour are a storm: raise repl-backlog-size and client-output-buffer-limit for "
            "replicas.",
        ),
        graph_panel(
            "Backlog",
            Query(worst("redis_repl_backlog_history_bytes"), "{{target}} held"),
            Query(worst("redis_replication_backlog_bytes"), "{{target}} limit"),
            unit="bytes",
            description="How much a replica can catch up with after a lost link. It should hold one minute of "
            "“Replication traffic”: set repl-backlog-size accordingly.",
        ),
        width=8,
        height=7,
    )


def _persistence(dashboard: Board) -> None:
    dashboard.row("Persistence")
    dashboard.fill(
        graph_panel(
            "Age of the last snapshot",
            Query(f"time() - {worst('redis_rdb_last_save_timestamp_seconds')}", "{{target}}"),
            unit="s",
            description="How much data a crash would lose if only snapshots are kept. Without any snapshot it is the "
            "time since the start. Older than the shortest save interval, and there are changes: look at “Is "
            "writing to disk working”.",
        ),
        graph_panel(
            "Changes since the last snapshot",
            Query(worst("redis_rdb_changes_since_last_save"), "{{target}}"),
            unit=COUNT,
            description="Writes that are not in a snapshot yet. It rises without end if snapshots are off or fail. "
            "This is right for a cache, and a risk for a store without an append-only file.",
        ),
        states_panel(
            "Is writing to disk working",
            Query(f"min {BY_TARGET} ({of('redis_rdb_last_bgsave_status')})", "{{target}} RDB"),
            Query(f"min {BY_TARGET} ({of('redis_aof_last_write_status')})", "{{target}} AOF"),
            states=[State(1, "works", GREEN), State(0, "fails", RED)],
            description="Red: with the default settings, writes are refused with MISCONF. Look at free disk space, "
            "the permissions of the data directory, and overcommit_memory of the host (a fork needs it).",
        ),
        graph_panel(
            "Forks and slow disks",
            Query(worst("redis_latest_fork_seconds"), "{{target}} last fork"),
            Query(f"{worst('redis_rdb_last_bgsave_duration_sec')} >= 0", "{{target}} last snapshot"),
            unit="s",
            least_top=0.1,
            description="During a fork the server answers no client: about 10 ms for each GB. Huge pages make it "
            "longer, so switch them off. Snapshots take longer and longer: the disk is slow, or much memory is "
            "copied on write.",
        ),
        width=6,
        height=8,
    )
