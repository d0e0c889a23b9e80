"""The list is requested only if it is short, and read in slices. Series per client are optional."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.clients import COLLECTOR, ClientsCollector
from redis_pulse.errors import PermissionDeniedError
from redis_pulse.metric import CollectorItem, OverflowCount, Sample, UnreadableField
from redis_pulse.server_info import Server
from tests.fakes import FakeCommands, ManualClock
from tests.recordings import clients as recorded

LINE = "id={} addr=127.0.0.1:1 name={} age=70 idle=5 flags=N tot-mem=10 omem=0 user=default lib-name=x lib-ver=1\n"


def commands(clients: Any, connected: Any = 3) -> FakeCommands:
    info = f"# Clients\r\nconnected_clients:{connected}\r\n".encode()
    return FakeCommands({"INFO EVERYTHING": info, "INFO": info, "CLIENT LIST": clients})


async def collect(fake: FakeCommands, collector: ClientsCollector | None = None, **options: Any) -> list[CollectorItem]:
    collector = collector or COLLECTOR.for_target()
    return list(await collector.collect(Server(), fake, COLLECTOR.options(**options)))


def values(items: list[CollectorItem], name: str) -> dict[tuple[str, ...], float]:
    return {s.labels: s.value for s in items if isinstance(s, Sample) and s.metric.name == name}


@pytest.mark.parametrize("server", recorded.SERVERS)
async def test_real_lists_are_read_completely(server: str) -> None:
    items = await collect(recorded.commands(server))
    assert all(isinstance(item, Sample) for item in items)
    library = ("", "") if server.startswith("redis-7.0") else ("redis-py", "5.0.1")
    assert values(items, "clients") == {
        ("default", "admin", "", ""): 1,
        ("shop=eu", 'it"s', *library): 1,
        ("shop=eu", "worker=0", *library): 2,
        ("shop=eu", "worker=1", *library): 3,
        ("shop=eu", "worker=2", *library): 2,
    }
    flags = {flag: value for (flag,), value in values(items, "clients_with_flag").items() if value}
    assert flags == {"blocked": 1, "monitor": 1, "multi": 1, "normal": 3, "pubsub": 2, "unix_socket": 1}
    assert min(values(items, "clients_age_max_seconds").values()) >= 1
    assert not values(items, "connected_client_info")


@pytest.mark.parametrize("connected", [501, 10_000, "", "many", "-1", "9" * 30])
async def test_list_is_not_requested_with_too_many_clients(connected: Any) -> None:
    """Nor if INFO does not report their number: a list of 10 000 clients blocks the server for 30 ms."""
    fake = commands(b"", connected)
    items = await collect(fake)
    assert "CLIENT LIST" not in fake.requests
    assert [(s.metric.name, s.value) for s in items if isinstance(s, Sample)] == [("clients_list_skipped", 1)]


async def test_list_of_unknown_length_is_not_requested_if_info_is_denied() -> None:
    fake = FakeCommands({"INFO EVERYTHING": PermissionDeniedError("no permission")})
    with pytest.raises(PermissionDeniedError):
        await collect(fake)
    assert fake.requests == ["INFO EVERYTHING"]


async def test_short_list_is_requested_and_reported_as_not_skipped() -> None:
    items = await collect(commands(LINE.format(1, "a").encode(), 500))
    assert values(items, "clients_list_skipped") == {(): 0}
    assert values(items, "clients") == {("default", "a", "x", "1"): 1}


async def test_without_a_limit_info_is_not_read() -> None:
    fake = FakeCommands({"CLIENT LIST": LINE.format(1, "a").encode()})
    assert values(await collect(fake, max_clients=0), "clients")


async def test_names_above_the_limit_are_merged() -> None:
    text = "".join(LINE.format(number, f"pod-{number}") for number in range(9))
    items = await collect(commands(text.encode()), max_names=4)
    assert values(items, "clients")["default", "overflow", "overflow", "overflow"] == 5
    assert [item.values for item in items if isinstance(item, OverflowCount)] == [5]


async def test_name_keeps_its_series_for_an_hour_after_it_disappears() -> None:
    clock = ManualClock(1795380000.0)
    collector = ClientsCollector(clock).for_target()
    a, b = (commands(LINE.format(1, name).encode()) for name in "ab")
    await collect(a, collector, max_names=1)
    clock.advance(3600)
    assert values(await collect(b, collector, max_names=1), "clients") == {("default", *["overflow"] * 3): 1}
    clock.advance(1)
    assert values(await collect(b, collector, max_names=1), "clients") == {("default", "b", "x", "1"): 1}


async def test_per_client_series_come_with_the_sums_and_have_stable_times() -> None:
    clock = ManualClock(1795380000.9)
    collector = ClientsCollector(clock).for_target()
    options = {"per_client": True, "include_port": True}
    items = await collect(commands(LINE.format(7, "a").encode()), collector, **options)
    assert values(items, "clients")
    assert values(items, "connected_client_info") == {("7", "a", "N", "", "127.0.0.1", "1", "default", ""): 1}
    created = {("7", "a"): 1795379930.0}
    assert values(items, "connected_client_created_at_timestamp") == created
    clock.advance(15.2)
    items = await collect(commands(LINE.format(7, "a").replace("age=70", "age=85").encode()), collector, **options)
    assert values(items, "connected_client_created_at_timestamp") == created


async def test_other_tasks_run_while_a_long_list_is_read() -> None:
    runs = Counter[str]()

    async def other() -> None:
        while True:
            runs["other"] += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await collect(commands("".join(LINE.format(number, "a") for number in range(1000)).encode()))
    task.cancel()
    assert runs["other"] >= 20


async def test_unreadable_line_does_not_affect_other_lines() -> None:
    text = LINE.format(1, "a").encode() + b"\xff\xfe\nname=x\n" + LINE.format(2, "\xff").encode("latin-1")
    items = await collect(commands(text))
    assert values(items, "clients") == {("default", "a", "x", "1"): 1, ("default", "\ufffd", "x", "1"): 1}
    assert [item for item in items if isinstance(item, UnreadableField)] == [UnreadableField("CLIENT LIST/line")] * 2


async def test_reply_that_is_not_text_is_unreadable() -> None:
    assert (await collect(commands([1])))[1:] == [UnreadableField("CLIENT LIST")]


@given(st.binary(max_size=300) | st.text("id=name ageflagsto-m\n12", max_size=100).map(str.encode))
async def test_any_reply_is_read_without_an_exception(text: bytes) -> None:
    await collect(commands(text), per_client=True)


async def test_error_is_raised() -> None:
    with pytest.raises(PermissionDeniedError):
        await collect(FakeCommands({"CLIENT LIST": PermissionDeniedError("no permission")}), max_clients=0)


def test_targets_have_their_own_collector_and_every_server_has_clients() -> None:
    assert COLLECTOR.for_target() is not COLLECTOR
    assert COLLECTOR.applies(Server(mode="sentinel"))
