"""What all dashboards share: the board with its variables, links and annotations, and panels used by several.

A dashboard is a ``Board``, which assigns ids and positions, so that two panels never overlap. The panels come from
``grafana.panels`` and ``grafana.tables``, their queries from ``grafana.promql``.
"""

import json
from typing import Any

from grafana_foundation_sdk.builders import dashboard, heatmap, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from grafana import variables
from grafana.panels import Empty, Query, graph_panel
from grafana.promql import OTHER_FAILURES, PING_FAILURES

TAG = "redis-pulse"
COLUMNS = 24

AnyPanel = stat.Panel | timeseries.Panel | heatmap.Panel | statetimeline.Panel | table.Panel


class Board:
    """A dashboard that is filled from left to right, row by row."""

    def __init__(
        self,
        uid: str,
        title: str,
        description: str,
        *,
        since: str = "now-1h",
        slo: bool = False,
        histograms: bool = False,
    ) -> None:
        """Create the dashboard ``<TAG> / <title>``. The ``uid`` must never change: links and bookmarks use it.

        With ``slo``, the dashboard also has variables for the objective and the latency edge. With ``histograms``, it
        has one that chooses classic or native histograms.
        """
        self.uid = uid
        self._id = self._x = self._y = self._height = 0
        self._collapsed: dashboard.Row | None = None
        self._y_after_collapsed = 0
        self._builder = (
            dashboard.Dashboard(f"{TAG} / {title}")
            .uid(uid)
            .description(description)
            .tags([TAG, "redis", "valkey"])
            .readonly()
            .timezone("browser")
            .time(since, "now")
            .refresh("30s")
            .tooltip(model.DashboardCursorSync.CROSSHAIR)
            .variables(
                [
                    *variables.common(),
                    *(variables.objectives() if slo else ()),
                    *([variables.histograms()] if histograms else ()),
                ]
            )
            .annotations(list(variables.annotations()))
            .link(
                dashboard.DashboardLink(TAG)
                .type(model.DashboardLinkType.DASHBOARDS)
                .tags([TAG])
                .tooltip("The other dashboards of redis-pulse, for the same time and targets")
                .as_dropdown(False)
                .keep_time(True)
                .include_vars(True)
            )
        )

    def row(self, title: str, *, collapsed: bool = False) -> None:
        """Begin a row of panels with a heading. Use ``collapsed`` for a feature that many servers do not have."""
        self._end_row()
        heading = dashboard.Row(title).id(self._next_id()).grid_pos(model.GridPos(h=1, w=COLUMNS, x=0, y=self._y))
        self._y += 1
        if collapsed:
            self._collapsed, self._y_after_collapsed = heading, self._y
        else:
            self._builder.with_row(heading)

    def add(self, panel: AnyPanel, *, width: int, height: int) -> None:
        """Place a panel to the right of the last one, or on a new line if it does not fit.

        Sizes are units of the grid, which has 24 columns.
        """
        if self._x + width > COLUMNS:
            self._next_line()
        panel.id(self._next_id()).grid_pos(model.GridPos(h=height, w=width, x=self._x, y=self._y))
        (self._collapsed or self._builder).with_panel(panel)
        self._x += width
        self._height = max(self._height, height)

    def fill(self, *panels: AnyPanel, width: int, height: int) -> None:
        """Place several panels of the same size."""
        for panel in panels:
            self.add(panel, width=width, height=height)

    def build(self) -> dict[str, Any]:
        """Return the dashboard as Grafana's JSON model."""
        self._end_row()
        built: dict[str, Any] = json.loads(json.dumps(self._builder.build(), cls=JSONEncoder))
        for annotation in built["annotations"]["list"]:  # the SDK has no fields for the text, the step and the time
            annotation |= {"titleFormat": f"{annotation['name']}: {{{{target}}}}", "step": "30s"}
            if annotation["name"] == variables.STALL:
                annotation |= {"textFormat": "{{cause}}", "useValueForTime": True}
        return built

    def _next_line(self) -> None:
        self._x, self._y, self._height = 0, self._y + self._height, 0

    def _end_row(self) -> None:
        """Go to the next line. The panels of a collapsed row occupy no space."""
        self._next_line()
        if self._collapsed:
            self._builder.with_row(self._collapsed)
            self._collapsed, self._y = None, self._y_after_collapsed

    def _next_id(self) -> int:
        self._id += 1
        return self._id


def failures_panel() -> timeseries.Panel:
    """Return the graph of failed pings and of other failed operations, by reason."""
    return graph_panel(
        "Failures by reason",
        Query(PING_FAILURES, "ping: {{reason}}"),
        Query(OTHER_FAILURES, "others: {{reason}}"),
        unit="ops",
        stacked=True,
        description="Failed pings per second, and other failed operations per second. refused, reset, dns or "
        "unreachable: the process or the network. timeout: the server hangs or is overloaded. auth or permission: the "
        "credentials. loading, busy or masterdown: the server is not ready. skipped: the exporter was late.",
        empty=Empty("nothing failed", "nothing failed"),
    )
