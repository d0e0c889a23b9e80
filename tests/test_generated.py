"""Docs and dashboards cannot lag behind the code: what is rendered from it equals what is committed."""

import pytest

from redis_pulse.metric import counter, gauge
from tools import render


def test_everything_rendered_is_what_is_committed() -> None:
    stale = [path.relative_to(render.ROOT).as_posix() for path in render.stale()]
    assert not stale, f"not what the code says now: {', '.join(stale)}: run `make docs` and commit what it writes"


def test_only_the_part_between_the_markers_is_replaced() -> None:
    page = "a\n<!-- x -->\n\nold\n\n<!-- /x -->\nb\n"
    assert render._between(page, "x", "new\n") == "a\n<!-- x -->\n\nnew\n\n<!-- /x -->\nb\n"


def test_a_lost_marker_is_said() -> None:
    with pytest.raises(ValueError, match=r"the lines <!-- x --> and <!-- /x --> are missing"):
        render._between("a\n<!-- x -->\nold\n", "x", "new\n")


def test_a_cell_may_hold_the_bar_that_divides_cells() -> None:
    assert render._table(["a"], [["x|y"]]) == "| a |\n| --- |\n| x\\|y |\n"


def test_the_right_name_is_told_beside_an_established_one() -> None:
    """Of two rows of one field, the counter, then the one in seconds is the better one; others stand alone."""
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
