"""Servers that are no Redis: what their INFO looks like, how they are asked for it, and the page that comes of it.

``tests/replies/compatible/`` holds INFO in the shape that each of them gives it. Their pages are committed as those of
the recorded servers are; ``GOLDEN_WRITE=1`` writes them anew.
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from redis_pulse import collectors
from redis_pulse.errors import TargetError
from redis_pulse.exposition.rendering import render, with_headers
from redis_pulse.metric import MetricSpec, Sample, UnreadableField
from redis_pulse.polling.poll_commands import RefusedCommands
from redis_pulse.server_info import Server
from tests import replay
from tests.fakes import FakeCommands
from tests.recordings import REPLIES

GOLDEN = Path(__file__).parent / "golden" / "compatible"
#: The collectors that read INFO and nothing else.
OF_INFO = ("info", "commandstats", "errorstats", "latencystats", "modules")
INFO = "the INFO of this server"


class Kind(NamedTuple):
    """What a server answers to the forms of INFO, and what it must be called."""

    everything: Any
    all: Any
    software: str
    version: str


SERVERS = {
    "dragonfly": Kind(b"", INFO, "dragonfly", "2.0.0"),
    "garnet": Kind(TargetError("Invalid section everything. Try INFO HELP"), INFO, "garnet", "2.2.0"),
    "keydb": Kind(INFO, INFO, "keydb", "6.3.4"),
    "kvrocks": Kind(b"", INFO, "kvrocks", "2.17.0"),
    "pika": Kind(TargetError("syntax error"), INFO, "pika", "3.3.6"),
    "tile38": Kind(b"", b"", "tile38", "1.33.4"),
    "upstash": Kind(b"# everything\r\n", b"# all\r\n", "upstash", "1.13.3"),
}


def text(name: str) -> bytes:
    """Return INFO as it comes over the wire."""
    return (REPLIES / "compatible" / f"{name}.txt").read_bytes().replace(b"\n", b"\r\n")


def port(name: str) -> FakeCommands:
    """Return the port to a server of that kind."""
    kind, info = SERVERS[name], text(name)
    answers = {"INFO everything": kind.everything, "INFO all": kind.all, "INFO": INFO}
    return FakeCommands({form: info if answer == INFO else answer for form, answer in answers.items()})


async def polls(name: str, count: int = 2) -> tuple[list[list[replay.Run]], Server, FakeCommands]:
    """Poll it so many times; return what the collectors found each time."""
    server, commands, refusals = Server(), port(name), RefusedCommands()
    parts = [(replay.freeze(one), one.options()) for one in map(collectors.load().get, OF_INFO) if one is not None]
    return [await replay.poll(server, commands, parts, refusals) for _ in range(count)], server, commands


async def page(name: str) -> str:
    """Render the page of its second poll."""
    runs, _, _ = await polls(name)
    assert [run.error for run in runs[-1]] == [None] * len(OF_INFO)
    lines: dict[MetricSpec, bytes] = {}
    for run in runs[-1]:
        samples = (item for item in run.found or () if isinstance(item, Sample))
        lines |= {metric: lines.get(metric, b"") + series for metric, series in render(name, samples).items()}
    rows = (row for each in collectors.load().values() for row in each.metrics)
    return b"".join(headers[False] + lines.pop(row) for row, headers in with_headers(rows) if row in lines).decode()


def values(shown: str) -> dict[str, float]:
    """Return the value of every series, without the label of the target."""
    found = (line.rpartition(" ") for line in shown.splitlines() if not line.startswith("#"))
    return {
        series.replace(f'target="{series.split(chr(34))[1]}"', "").replace("{,", "{"): float(v)
        for series, _, v in found
    }


@pytest.mark.parametrize("name", SERVERS)
async def test_the_page_is_the_golden_one(name: str) -> None:
    golden, now = GOLDEN / f"{name}.prom", await page(name)
    if os.environ.get("GOLDEN_WRITE"):
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(now, encoding="utf-8")
    assert now == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SERVERS)
async def test_nothing_is_unreadable(name: str) -> None:
    """A healthy server must not raise an alert at every poll."""
    runs, _, _ = await polls(name)
    for run in runs[0] + runs[1]:
        assert [item for item in run.found or () if isinstance(item, UnreadableField)] == [], run.collector.name


@pytest.mark.parametrize("name", SERVERS)
async def test_a_server_has_its_own_name_and_version(name: str) -> None:
    _, server, _ = await polls(name)
    assert (server.software, server.version) == (SERVERS[name].software, SERVERS[name].version)
    info = f'redis_server_info{{target="{name}",software="{server.software}",version="{server.version}"}} 1'
    assert info in await page(name)


@pytest.mark.parametrize("name", SERVERS)
async def test_the_form_of_info_that_tells_something_is_found_once_and_kept(name: str) -> None:
    """The second poll sends INFO once, for all collectors together."""
    runs, _, commands = await polls(name, 1)
    first = len(commands.asked)
    again, _, commands = await polls(name, 2)
    assert len(commands.asked) == first + 1
    assert runs[0][0].found
    assert again[1][0].found


async def test_the_time_of_the_cpu_is_read_as_dragonfly_writes_it() -> None:
    """It leaves out the zeros that lead the microseconds: read as a decimal, the counters would run backwards."""
    shown = values(await page("dragonfly"))
    assert shown["redis_cpu_sys_seconds_total{}"] == 31.000040
    assert shown["redis_cpu_user_seconds_total{}"] == 62.000005
    assert shown["redis_cpu_sys_children_seconds_total{}"] == 0.000778
    assert shown["redis_cpu_sys_main_thread_seconds_total{}"] == 3.5


@pytest.mark.parametrize("name", ["dragonfly", "kvrocks", "pika"])
async def test_a_lag_in_records_is_not_published_as_seconds(name: str) -> None:
    assert "lag_seconds" not in await page(name)


async def test_what_is_not_measured_is_not_there() -> None:
    shown = await page("dragonfly")
    assert "redis_db_avg_ttl_seconds" not in shown
    assert "redis_rejected_connections_total" not in shown
    assert "redis_master_repl_offset" not in await page("garnet")


async def test_sections_are_found_however_their_names_are_written() -> None:
    """Kvrocks writes CommandStats, Dragonfly Cpu, Pika Replication(MASTER)."""
    assert values(await page("kvrocks"))['redis_commands_total{cmd="get"}'] == 30423
    assert values(await page("pika"))["redis_connected_slaves{}"] == 2
    assert values(await page("dragonfly"))["redis_max_clients{}"] == 64000


async def test_the_keys_of_a_pika_are_those_of_all_types_together() -> None:
    shown = values(await page("pika"))
    assert shown['redis_db_keys{db="db0"}'] == 8392 + 488 + 2
    assert shown['redis_db_keys_expiring{db="db0"}'] == 20
