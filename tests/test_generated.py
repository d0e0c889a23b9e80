"""The committed docs, dashboards and rules equal what is rendered from the code."""

import pytest

from redis_pulse.metric import counter, gauge
from tools import render


def test_rendered_files_equal_the_committed_files() -> None:
    stale = [path.relative_to(render.ROOT).as_posix() for path in render.stale()]
    assert not stale, f"outdated: {', '.join(stale)}: run `make docs` and commit the changes"


def test_only_the_part_between_the_markers_is_replaced() -> None:
    page = "a\n<!-- x -->\n\nold\n\n<!-- /x -->\nb\n"
    assert render._replace_part(page, "x", "new\n") == "a\n<!-- x -->\n\nnew\n\n<!-- /x -->\nb\n"


def test_missing_marker_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"the lines <!-- x --> and <!-- /x --> are missing"):
        render._replace_part("a\n<!-- x -->\nold\n", "x", "new\n")


def test_vertical_bar_in_a_cell_is_escaped() -> None:
    assert render._table(["a"], [["x|y"]]) == "| a |\n| --- |\n| x\\|y |\n"


def test_established_name_leads_to_the_better_name() -> None:
    """Of two metrics of one field, a counter is better, then seconds. Other metrics have no better name."""
    rows = [
        gauge("Stats", "hits", "hits", "Hits."),
        counter("Stats", "hits", "hits_total", "Hits."),
        counter("Stats", "time", "time_usec_total", "Time."),
        counter("Stats", "time", "time_seconds_total", "Time."),
        gauge("Stats", "fork", "fork_usec", "Fork."),
        gauge("Stats", "fork", "fork_seconds", "Fork."),
        gauge("Stats", "other", "other", "Other."),
    ]
    assert render._better(rows) == {
        "redis_hits": "redis_hits_total",
        "redis_time_usec_total": "redis_time_seconds_total",
        "redis_fork_usec": "redis_fork_seconds",
    }
