"""The fleet bench: its rows, the samples that it counts, the targets that come and go."""

import gzip
import importlib
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[1] / "bench"
#: Rows that other programs read by their names.
NAMES = (
    "CPU of one core",
    "memory (RSS), MB",
    "longest wait for a small page, scraped, ms",
    "PING late, scraped, p50 / p99 / max ms",
)


@pytest.fixture(scope="module", autouse=True)
def _bench_is_importable() -> Iterator[None]:
    """A benchmark is run by path, so its modules import each other without a package."""
    sys.path.insert(0, str(BENCH))
    yield
    sys.path.remove(str(BENCH))


def _module(name: str) -> Any:
    return importlib.import_module(name)


def _run(**windows: dict[str, Any]) -> dict[str, Any]:
    cost = _module("fleet_cost")
    found = {name: vars(cost.Window()) for name in ("starting", "quiet", "gzip", "plain")}
    for name, values in windows.items():
        found[name] = found[name] | values
    pages, holds = {"/health": 0.06}, {"/health": 0.004}
    common = {"start": 2.0, "start_cpu": 1.0, "samples": [], "age": [], "pages": pages, "holds": holds}
    return {"targets": 10, "bad": 0, "windows": found, **common}


def test_first_column_is_gzip_and_keeps_its_names() -> None:
    run = _run(
        gzip={"cpu": 0.25, "rss": 180.0, "longest": 0.009, "late": [0.5, 3.0, 15.0], "waiting": 0.1},
        plain={"cpu": 0.5, "rss": 200.0, "longest": 0.02, "late": [1.0, 4.0, 16.0], "waiting": 0.2},
    )
    rows = dict(_module("fleet_table").rows([[run]]))
    assert [rows[name] for name in NAMES] == [
        ["25.0%", "50.0%"],
        ["180", "200"],
        ["9", "20"],
        ["0.5 / 3 / 15", "1 / 4 / 16"],
    ]
    assert rows["verdict on lateness"] == ["counts", "none"]


def test_windows_that_were_left_out_are_dashes() -> None:
    rows = dict(_module("fleet_table").rows([[_run()]]))
    assert rows["CPU of one core"] == rows["page, max, ms"] == rows["verdict on lateness"] == ["-", "-"]


def test_several_runs_are_medians_and_the_worst_maximum() -> None:
    runs = [
        _run(gzip={"late": late, "cpu": cpu}) for late, cpu in (([1, 2, 3], 0.1), ([2, 3, 9], 0.2), ([3, 4, 5], 0.6))
    ]
    rows = dict(_module("fleet_table").rows([runs]))
    assert rows["PING late, scraped, p50 / p99 / max ms"][0] == "2 / 3 / 9"
    assert rows["CPU of one core"][0] == "20.0%"


def test_growth_compares_the_second_quarter_with_the_last() -> None:
    table = _module("fleet_table")
    assert table.growth(_run(gzip={"memory": [9.0] * 10 + [1.0] * 10 + [2.0] * 10 + [3.0] * 10})) == (1.0, 3.0)
    assert table.growth(_run(gzip={"memory": [1.0] * 12})) is None


def test_samples_are_counted_by_whose_they_are() -> None:
    page = (
        b"# HELP redis_up Up.\n"
        b'redis_up{target="a"} 1\n'
        b'redis_commands_processed_total{target="a"} 1.7e+12\n'
        b'redis_latency_percentiles_usec_count{target="a",cmd="x,}y"} 3\n'
        b"process_cpu_seconds_total 1.5\n"
    )
    body = gzip.compress(page)
    response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    load = _module("fleet_load")
    assert load.count_samples(response, 1) == (4, 1.0, 2.0)
    assert load.ages([(1.7e9 + 2.5, response)]) == pytest.approx([2.5])


def test_targets_come_and_go_and_the_first_half_stays(tmp_path: Path) -> None:
    cost, file = _module("fleet_cost"), tmp_path / "targets.json"
    urls = [f"redis://127.0.0.1:{port}" for port in range(10_000, 10_220)]

    def names(turn: int) -> set[str]:
        cost.write_targets(file, urls, 200, turn)
        return {group["labels"]["__name"] for group in json.loads(file.read_text())}

    first, second = names(1), names(2)
    assert len(first) == len(second) == 200
    assert len(first - second) == 2
    assert {f"t{number}" for number in range(100)} <= first & second


def test_numbers_that_were_not_measured_are_null_in_json() -> None:
    fleet = _module("fleet")
    assert fleet.rounded({"a": [math.nan, 0.123456789], "b": (1, "x")}) == {"a": [None, 0.123457], "b": [1, "x"]}
