"""The tables of docs/scaling.md follow from the measurements of ``bench/fleet.py``."""

import re
from typing import Any

import pytest

from tools import scaling


def _window(**values: Any) -> dict[str, Any]:
    numbers = {"cpu": 0.25, "rss": 180.0, "peak": 250.0, "waiting": 0.02, "skipped": 0, "failed": 0}
    return numbers | {"late": [0.5, 2.0, 9.0], "page": [100.0, 200.0, 4.5]} | values


def _fleet(targets: int, bad: int = 0, tree: str = "this", **gzip: Any) -> dict[str, Any]:
    run = {
        "windows": {"quiet": _window(cpu=0.2), "gzip": _window(**gzip)},
        "samples": [targets * 800, 200.0, 600.0],
        "age": [1.0, 3.0, 4.0],
    }
    return {"targets": targets, "bad": bad, "tree": tree, "runs": [run, run]}


def _part(*fleets: dict[str, Any]) -> dict[str, list[str]]:
    result = {"commits": {"this": "abc"}, "machine": "2 cores", "python": "3.11", "command": "c", "fleets": fleets}
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", scaling.scaling_part(result), re.MULTILINE)
    return {name: cells.split(" | ") for name, cells in rows}


def test_columns_are_the_fleets_of_this_tree() -> None:
    part = _part(_fleet(100), _fleet(1000), _fleet(1000, 100), _fleet(1000, tree="checkout"))
    assert part["CPU of one core, with two scrapers every 5 s"] == ["25.0%"] * 3
    assert part["pings sent late while scraped, p50, p99, max, ms"] == ["0.5, 2, 9"] * 3


def test_shards_follow_from_the_fleet_of_1000() -> None:
    part = _part(_fleet(100), _fleet(1000))
    assert part["targets"] == ["1000", "10000", "100000"]
    assert part["shards"] == ["1", "10", "100"]
    assert part["cores"] == ["0.25", "2.5", "25"]
    assert part["memory at its peak, GB"] == ["0.25", "2.5", "25"]
    assert part["series in Prometheus, million"] == ["0.8", "8", "80"]
    assert part["Prometheus servers"] == ["1", "1", "8"]


def test_without_a_fleet_of_1000_there_is_no_table_of_shards() -> None:
    assert "shards" not in _part(_fleet(100))


@pytest.mark.parametrize("waiting", [0.16, 0.5])
def test_contended_run_has_no_verdict_on_lateness(waiting: float) -> None:
    part = _part(_fleet(1000, waiting=waiting))
    assert part["pings sent late while scraped, p50, p99, max, ms"] == ["no verdict"]


def test_values_that_were_not_measured_are_dashes() -> None:
    part = _part(_fleet(100, cpu=None, late=[]))
    assert part["CPU of one core, with two scrapers every 5 s"] == ["-"]
    assert part["pings sent late while scraped, p50, p99, max, ms"] == ["-"]
