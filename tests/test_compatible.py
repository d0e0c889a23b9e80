"""INFO of servers that are not Redis: its form, the command that returns it, and the resulting page.

``tests/replies/compatible/`` has the INFO of each server. Their pages are committed like those of the recorded servers;
``GOLDEN_WRITE=1`` writes them.
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
#: The collectors that read only INFO.
INFO_COLLECTORS = ("info", "commandstats", "errorstats", "latencystats", "modules")
#: Stands for the recorded INFO of the server.
INFO = "the INFO of this server"


class CompatibleServer(NamedTuple):
    """The replies of a server to the forms of INFO, and its expected name and version."""

    everything: Any
    all: Any
    software: str
    version: str


SERVERS = {
    "dragonfly": CompatibleServer(b"", INFO, "dragonfly", "2.0.0"),
    "garnet": CompatibleServer(TargetError("Invalid section everything. Try INFO HELP"), INFO, "garnet", "2.2.0"),
    "keydb": CompatibleServer(INFO, INFO, "keydb", "6.3.4"),
    "kvrocks": CompatibleServer(b"", INFO, "kvrocks", "2.17.0"),
    "pika": CompatibleServer(TargetError("syntax error"), INFO, "pika", "3.3.6"),
    "redict": CompatibleServer(INFO, INFO, "redict", "7.3.6"),
    "tile38": CompatibleServer(b"", b"", "tile38", "1.33.4"),
    "upstash": CompatibleServer(b"# everything\r\n", b"# all\r\n", "upstash", "1.13.3"),
}


def text(name: str) -> bytes:
    """Return INFO as the server sends it."""
    return (REPLIES / "compatible" / f"{name}.txt").read_bytes().replace(b"\n", b"\r\n")


def fake(name: str) -> FakeCommands:
    """Return the replies of a server to all forms of INFO."""
    server, info = SERVERS[name], text(name)
    replies = {"INFO everything": server.everything, "INFO all": server.all, "INFO": INFO}
    return FakeCommands({form: info if reply == INFO else reply for form, reply in replies.items()})


async def polls(name: str, count: int = 2) -> tuple[list[list[replay.Run]], Server, FakeCommands]:
    """Poll a server ``count`` times; return the runs of the collectors of each poll."""
    server, commands, refusals = Server(), fake(name), RefusedCommands()
    parts = [
        (replay.freeze(one), one.options()) for one in map(collectors.load().get, INFO_COLLECTORS) if one is not None
    ]
    return [await replay.poll(server, commands, parts, refusals) for _ in range(count)], server, commands


async def page(name: str) -> str:
    """Render the page of the second poll."""
    runs, _, _ = await polls(name)
    assert [run.error for run in runs[-1]] == [None] * len(INFO_COLLECTORS)
    lines: dict[MetricSpec, bytes] = {}
    for run in runs[-1]:
        samples = (item for item in run.items or () if isinstance(item, Sample))
        lines |= {metric: lines.get(metric, b"") + series for metric, series in render(name, samples).items()}
    metrics = (metric for collector in collectors.load().values() for metric in collector.metrics)
    families = (headers[False] + lines.pop(metric) for metric, headers in with_headers(metrics) if metric in lines)
    return b"".join(families).decode()


def values(text: str) -> dict[str, float]:
    """Return the value of each series, without the label of the target."""
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {
        series.replace(f'target="{series.split(chr(34))[1]}"', "").replace("{,", "{"): float(v)
        for series, _, v in lines
    }


@pytest.mark.parametrize("name", SERVERS)
async def test_page_equals_the_golden_page(name: str) -> None:
    golden, now = GOLDEN / f"{name}.prom", await page(name)
    if os.environ.get("GOLDEN_WRITE"):
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(now, encoding="utf-8")
    assert now == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SERVERS)
async def test_all_fields_are_readable(name: str) -> None:
    """A healthy server must not raise an alert at each poll."""
    runs, _, _ = await polls(name)
    for run in runs[0] + runs[1]:
        assert [item for item in run.items or () if isinstance(item, UnreadableField)] == [], run.collector.name


@pytest.mark.parametrize("name", SERVERS)
async def test_server_has_its_own_name_and_version(name: str) -> None:
    _, server, _ = await polls(name)
    assert (server.software, server.version) == (SERVERS[name].software, SERVERS[name].version)
    info = f'redis_server_info{{target="{name}",software="{server.software}",version="{server.version}",'
    assert info in await page(name)


@pytest.mark.parametrize("name", SERVERS)
async def test_form_of_info_with_fields_is_searched_once_and_kept(name: str) -> None:
    """The second poll sends INFO once, for all collectors together."""
    runs, _, commands = await polls(name, 1)
    first = len(commands.requests)
    two_polls, _, commands = await polls(name, 2)
    assert len(commands.requests) == first + 1
    assert runs[0][0].items
    assert two_polls[1][0].items


async def test_cpu_time_is_read_in_the_format_of_dragonfly() -> None:
    """It omits leading zeros of the microseconds. Read as a decimal number, the counters would decrease."""
    series = values(await page("dragonfly"))
    assert series["redis_cpu_sys_seconds_total{}"] == 31.000040
    assert series["redis_cpu_user_seconds_total{}"] == 62.000005
    assert series["redis_cpu_sys_children_seconds_total{}"] == 0.000778
    assert series["redis_cpu_sys_main_thread_seconds_total{}"] == 3.5


@pytest.mark.parametrize("name", ["dragonfly", "kvrocks", "pika"])
async def test_lag_in_records_is_not_published_as_seconds(name: str) -> None:
    assert "lag_seconds" not in await page(name)


async def test_values_that_a_server_does_not_measure_have_no_series() -> None:
    dragonfly = await page("dragonfly")
    assert "redis_db_avg_ttl_seconds" not in dragonfly
    assert "redis_rejected_connections_total" not in dragonfly
    assert "redis_master_repl_offset" not in await page("garnet")


async def test_sections_are_found_in_any_spelling() -> None:
    """Kvrocks writes CommandStats, Dragonfly Cpu, Pika Replication(MASTER)."""
    assert values(await page("kvrocks"))['redis_commands_total{cmd="get"}'] == 30423
    assert values(await page("pika"))["redis_connected_slaves{}"] == 2
    assert values(await page("dragonfly"))["redis_max_clients{}"] == 64000


async def test_keys_of_a_pika_are_the_sum_over_all_types() -> None:
    series = values(await page("pika"))
    assert series['redis_db_keys{db="db0"}'] == 8392 + 488 + 2
    assert series['redis_db_keys_expiring{db="db0"}'] == 20
