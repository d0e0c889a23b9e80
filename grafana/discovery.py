"""Row of the dashboard Resilience and exporter: the sources of discovered targets."""

from grafana.common import Board
from grafana.panels import COUNT, Empty, Query, graph_panel
from grafana.promql import increase, own
from grafana.variables import ORANGE, RED

NO_SOURCE = Empty("no source of targets is configured", "no source configured")
SOURCE = "{{kind}} {{source}}"
BY_SOURCE = "by (job, kind, source)"
FAILED, REFUSED = "redis_exporter_discovery_failures_total", "redis_exporter_discovery_refused_total"
CHANGED = "redis_exporter_discovery_changes_total"


def rows(dashboard: Board) -> None:
    """Add the row to the dashboard. It is collapsed: many users list every target in the configuration."""
    dashboard.row("Discovery: where targets come from", collapsed=True)
    dashboard.fill(
        graph_panel(
            "Targets of each source",
            Query(f"sum {BY_SOURCE} ({own('redis_exporter_discovery_targets')})", SOURCE),
            unit=COUNT,
            description="Current targets of a file, URL, DNS name, cluster or Sentinel set, over all shards. A "
            "sudden fall means that the source lost its content, not that servers failed: look at the source "
            "itself.",
            empty=NO_SOURCE,
        ),
        graph_panel(
            "Changes",
            Query(f"sum by (kind, source, change) ({increase(own(CHANGED))})", f"{SOURCE} {{{{change}}}}"),
            unit=COUNT,
            stacked=True,
            description="Targets that were added, removed or changed. All of them removed and added again: names or "
            "labels change with each refresh, so all series begin again.",
            empty=NO_SOURCE,
        ),
        graph_panel(
            "Time since a source last answered",
            Query(
                f"time() - max {BY_SOURCE} ({own('redis_exporter_discovery_last_success_timestamp_seconds')})", SOURCE
            ),
            unit="s",
            limits=[(300, ORANGE)],
            description="It should stay below the refresh interval. Above it, the targets of the last successful "
            "refresh stay, and new servers are not found. Look at “Sources that did not answer” and at the log.",
            empty=NO_SOURCE,
        ),
        graph_panel(
            "Sources that did not answer",
            Query(f"sum {BY_SOURCE} ({increase(own(FAILED))})", SOURCE),
            unit=COUNT,
            limits=[(1, RED)],
            least_top=1,
            description="Failed refreshes. The targets stay unchanged. The log has the reason: an unreadable file, a "
            "URL with an unexpected response, or a DNS name without records.",
            empty=NO_SOURCE,
        ),
        graph_panel(
            "Refused targets",
            Query(f"sum by (kind, source, reason) ({increase(own(REFUSED))})", f"{SOURCE}: {{{{reason}}}}"),
            unit=COUNT,
            least_top=1,
            description="Targets that a source names and that the exporter refuses: not allowed, unreadable, "
            "duplicate, or too many. Allow them in the settings of the source, or correct the source.",
            empty=Empty("every target of every source was accepted", "all accepted"),
        ),
        graph_panel(
            "Targets beyond a limit",
            Query(f"sum {BY_SOURCE} ({own('redis_exporter_discovery_left_out_targets')})", SOURCE),
            unit=COUNT,
            limits=[(1, RED)],
            least_top=1,
            description="Servers that a source names and that are not watched, because discovery.max_targets or "
            "another limit is reached. Correct the source, or give the exporter more memory and raise the limit.",
            empty=NO_SOURCE,
        ),
        graph_panel(
            "Shards",
            Query(
                f"max by (job, instance, shard, shards) ({own('redis_exporter_shard_info')})",
                "{{instance}}: {{shard}} of {{shards}}",
            ),
            unit=COUNT,
            least_top=1,
            description="The part of the targets that each exporter watches. Each number must appear once, and all "
            "must have the same number of shards. A missing shard leaves its targets unwatched, and no alert "
            "fires for them.",
            empty=Empty("one exporter watches all targets", "not sharded"),
        ),
        width=8,
        height=7,
    )
