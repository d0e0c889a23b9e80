"""Panels that more than one dashboard shows."""

from grafana_foundation_sdk.builders import timeseries

from grafana.panels import Empty, Query, graph_panel
from grafana.promql import OTHER_FAILURES, PING_FAILURES


def failures_panel() -> timeseries.Panel:
    """Why pings failed, and why anything else did."""
    return graph_panel(
        "Failures by reason",
        Query(PING_FAILURES, "ping: {{reason}}"),
        Query(OTHER_FAILURES, "others: {{reason}}"),
        unit="ops",
        stacked=True,
        description="Failed pings per second, and failed reads of all other kinds. refused, reset, dns, unreachable: "
        "process or network. timeout: hung or overloaded. auth, permission: credentials. loading, busy, masterdown: "
        "the server is not ready. skipped: the exporter was late.",
        empty=Empty("nothing failed", "nothing failed"),
    )
