"""Row of Resilience and exporter: where targets come from, when they are not written down one by one."""

from grafana.common import Board
from grafana.panels import COUNT, Empty, Query, graph_panel
from grafana.promql import increase, own
from grafana.variables import ORANGE, RED

NO_SOURCE = Empty("no source of targets is configured", "no source configured")
SOURCE = "{{kind}} {{source}}"
BY_SOURCE = "by (job, kind, source)"
FAILED, REFUSED = "redis_exporter_discovery_failures_total", "redis_exporter_discovery_refused_total"
CHANGED = "redis_exporter_discovery_changes_total"


def rows(made: Board) -> None:
    """Add the row to the dashboard; collapsed, for many name every target themselves."""
    made.row("Discovery: where targets come from", collapsed=True)
    made.fill(
        graph_panel(
            "Targets of each source",
            Query(f"sum {BY_SOURCE} ({own('redis_exporter_discovery_targets')})", SOURCE),
            unit=COUNT,
            description="Targets that a file, URL, name, cluster or Sentinel set names now, over all shards. A cliff "
            "is a source that lost its content, not servers that died: look at the source itself.",
            empty=NO_SOURCE,
        ),
        graph_panel(
            "Changes",
            Query(f"sum by (kind, source, change) ({increase(own(CHANGED))})", f"{SOURCE} {{{{change}}}}"),
            unit=COUNT,
            stacked=True,
            description="Targets that were added, removed or changed. All removed and added again: names or labels "
            "that change with each refresh, which begins all series anew.",
            empty=NO_SOURCE,
        ),
        graph_panel(
            "Time since a source last answered",
            Query(
                f"time() - max {BY_SOURCE} ({own('redis_exporter_discovery_last_success_timestamp_seconds')})", SOURCE
            ),
            unit="s",
            limits=[(300, ORANGE)],
            description="It should stay below the refresh interval. Beyond it the targets of the last answer stay, and "
            "new servers are not found: see beside it, and the log.",
            empty=NO_SOURCE,
        ),
        graph_panel(
            "Sources that did not answer",
            Query(f"sum {BY_SOURCE} ({increase(own(FAILED))})", SOURCE),
            unit=COUNT,
            limits=[(1, RED)],
            least_top=1,
            description="Refreshes that failed; the targets stay as they were. The log says why: a file that cannot be "
            "read, a URL that answers otherwise, a name without records.",
            empty=NO_SOURCE,
        ),
        graph_panel(
            "Targets that were not taken",
            Query(f"sum by (kind, source, why) ({increase(own(REFUSED))})", f"{SOURCE}: {{{{why}}}}"),
            unit=COUNT,
            least_top=1,
            description="Targets that a source names and we leave out: not allowed, unreadable, known already, or too "
            "many. Allow them in the settings of the source, or mend what names them.",
            empty=Empty("every target of every source was taken", "all taken"),
        ),
        graph_panel(
            "Shards",
            Query(
                f"max by (job, instance, shard, shards) ({own('redis_exporter_shard_info')})",
                "{{instance}}: {{shard}} of {{shards}}",
            ),
            unit=COUNT,
            least_top=1,
            description="Which part of the targets each exporter watches. Each number must be there once, and all name "
            "the same number of shards: a missing one leaves its targets unwatched, and nobody complains of them.",
            empty=Empty("one exporter watches all", "not sharded"),
        ),
        width=8,
        height=7,
    )
