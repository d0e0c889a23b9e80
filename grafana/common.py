"""A dashboard as it is filled: rows and panels from left to right, the common variables, links and marks.

A dashboard is a ``Board``: ids and positions are given here, so that two panels never share a place. The panels
themselves come from ``grafana.panels`` and ``grafana.tables``, what they ask from ``grafana.promql``.
"""

import json
from typing import Any

from grafana_foundation_sdk.builders import dashboard, heatmap, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from grafana import variables

TAG = "redis-pulse"
COLUMNS = 24

AnyPanel = stat.Panel | timeseries.Panel | heatmap.Panel | statetimeline.Panel | table.Panel


class Board:
    """A dashboard that is filled from left to right, row by row."""

    def __init__(self, uid: str, title: str, description: str, *, since: str = "now-1h", slo: bool = False) -> None:
        """Begin ``<TAG> / <title>``; ``uid`` is what links and bookmarks hold on to, so it never changes.

        With ``slo`` the objective and the edge of latency can be chosen too.
        """
        self.uid = uid
        self._id = self._x = self._y = self._height = 0
        self._collapsed: dashboard.Row | None = None
        self._below = 0
        self._built = (
            dashboard.Dashboard(f"{TAG} / {title}")
            .uid(uid)
            .description(description)
            .tags([TAG, "redis", "valkey"])
            .readonly()
            .timezone("browser")
            .time(since, "now")
            .refresh("30s")
            .tooltip(model.DashboardCursorSync.CROSSHAIR)
            .variables([*variables.common(), *(variables.objectives() if slo else ())])
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
        """Begin a row of panels under a heading; a collapsed one is for what many servers do not have."""
        self._end_row()
        heading = dashboard.Row(title).id(self._next_id()).grid_pos(model.GridPos(h=1, w=COLUMNS, x=0, y=self._y))
        self._y += 1
        if collapsed:
            self._collapsed, self._below = heading, self._y
        else:
            self._built.with_row(heading)

    def add(self, panel: AnyPanel, *, width: int, height: int) -> None:
        """Place a panel beside the one before, or on a new line when it does not fit; sizes are grid units of 24."""
        if self._x + width > COLUMNS:
            self._next_line()
        panel.id(self._next_id()).grid_pos(model.GridPos(h=height, w=width, x=self._x, y=self._y))
        (self._collapsed or self._built).with_panel(panel)
        self._x += width
        self._height = max(self._height, height)

    def fill(self, *panels: AnyPanel, width: int, height: int) -> None:
        """Place several panels of one size."""
        for panel in panels:
            self.add(panel, width=width, height=height)

    def build(self) -> dict[str, Any]:
        """Return the dashboard as Grafana's JSON model."""
        self._end_row()
        built: dict[str, Any] = json.loads(json.dumps(self._built.build(), cls=JSONEncoder))
        for annotation in built["annotations"]["list"]:  # the SDK has no field for what stands beside the mark
            annotation |= {"titleFormat": f"{annotation['name']}: {{{{target}}}}", "step": "30s"}
        return built

    def _next_line(self) -> None:
        self._x, self._y, self._height = 0, self._y + self._height, 0

    def _end_row(self) -> None:
        """Go to the next line; what is inside a collapsed row takes no place."""
        self._next_line()
        if self._collapsed:
            self._built.with_row(self._collapsed)
            self._collapsed, self._y = None, self._below

    def _next_id(self) -> int:
        self._id += 1
        return self._id
