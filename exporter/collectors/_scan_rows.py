"""The rows by which a collector that scans says how far it is, and how old what it serves is."""

from typing import NamedTuple

from exporter.metric import Metric, gauge


class ScanRows(NamedTuple):
    """The rows by which a collector says how complete and how fresh its scans are."""

    progress: Metric
    duration: Metric
    age: Metric


def scan_rows(collector: str) -> ScanRows:
    """Make the rows of one collector; labels are ``db`` and ``pattern``."""
    labels = ("db", "pattern")
    return ScanRows(
        gauge(
            "SCAN",
            "cursor",
            f"{collector}_scan_progress_ratio",
            "Estimated share of the database that the pass under way has walked; 1 when no pass is under way.",
            labels=labels,
        ),
        gauge(
            "SCAN",
            "duration",
            f"{collector}_scan_duration_seconds",
            "Time from the begin to the end of the newest complete pass, waiting for the next poll included.",
            labels=labels,
        ),
        gauge(
            "SCAN",
            "age",
            f"{collector}_scan_age_seconds",
            "Time since the end of the newest complete pass, from which the values are.",
            labels=labels,
        ),
    )
