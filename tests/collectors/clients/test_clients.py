"""The list is asked for only when it is short, read in portions, and summed up; one series a client on request."""

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


async def collect(said: FakeCommands, of: ClientsCollector | None = None, **options: Any) -> list[CollectorItem]:
    return list(await (of or COLLECTOR.for_target()).collect(Server(), said, COLLECTOR.options(**options)))


def values(found: list[CollectorItem], name: str) -> dict[tuple[str, ...], float]:
    return {s.labels: s.value for s in found if isinstance(s, Sample) and s.metric.name == name}


@pytest.mark.parametrize("server", recorded.SERVERS)
async def test_real_lists_are_read_without_a_rest(server: str) -> None:
    found = await collect(recorded.commands(server))
    assert all(isinstance(item, Sample) for item in found)
    library = ("", "") if server.startswith("redis-7.0") else ("redis-py", "5.0.1")
    assert values(found, "clients") == {
        ("default", "admin", "", ""): 1,
        ("shop=eu", 'it"s', *library): 1,
        ("shop=eu", "worker=0", *library): 2,
        ("shop=eu", "worker=1", *library): 3,
        ("shop=eu", "worker=2", *library): 2,
    }
    flags = {flag: value for (flag,), value in values(found, "clients_with_flag").items() if value}
    assert flags == {"blocked": 1, "monitor": 1, "multi": 1, "normal": 3, "pubsub": 2, "unix_socket": 1}
    assert min(values(found, "clients_age_max_seconds").values()) >= 1
    assert not values(found, "connected_client_info")


@pytest.mark.parametrize("connected", [501, 10_000, "", "many", "-1", "9" * 30])
async def test_with_too_many_clients_the_list_is_not_asked_for(connected: Any) -> None:
    """Nor when INFO does not say how many there are: to list 10 000 stops the server for 30 ms."""
    said = commands(b"", connected)
    found = await collect(said)
    assert "CLIENT LIST" not in said.asked
    assert [(s.metric.name, s.value) for s in found if isinstance(s, Sample)] == [("clients_list_skipped", 1)]


async def test_a_server_that_denies_info_is_not_asked_for_a_list_of_unknown_length() -> None:
    said = FakeCommands({"INFO EVERYTHING": PermissionDeniedError("no permission")})
    with pytest.raises(PermissionDeniedError):
        await collect(said)
    assert said.asked == ["INFO EVERYTHING"]


async def test_a_list_that_is_short_enough_is_asked_for_and_the_page_says_so() -> None:
    found = await collect(commands(LINE.format(1, "a").encode(), 500))
    assert values(found, "clients_list_skipped") == {(): 0}
    assert values(found, "clients") == {("default", "a", "x", "1"): 1}


async def test_without_a_limit_info_is_not_needed() -> None:
    said = FakeCommands({"CLIENT LIST": LINE.format(1, "a").encode()})
    assert values(await collect(said, max_clients=0), "clients")


async def test_names_above_the_cap_overflow() -> None:
    text = "".join(LINE.format(number, f"pod-{number}") for number in range(9))
    found = await collect(commands(text.encode()), max_names=4)
    assert values(found, "clients")["default", "overflow", "overflow", "overflow"] == 5
    assert [item.values for item in found if isinstance(item, OverflowCount)] == [5]


async def test_a_name_has_its_series_for_an_hour_after_it_left() -> None:
    clock = ManualClock(1795380000.0)
    collector = ClientsCollector(clock).for_target()
    a, b = (commands(LINE.format(1, name).encode()) for name in "ab")
    await collect(a, collector, max_names=1)
    clock.advance(3600)
    assert values(await collect(b, collector, max_names=1), "clients") == {("default", *["overflow"] * 3): 1}
    clock.advance(1)
    assert values(await collect(b, collector, max_names=1), "clients") == {("default", "b", "x", "1"): 1}


async def test_one_series_a_client_comes_beside_the_sums_and_its_times_do_not_wobble() -> None:
    clock = ManualClock(1795380000.9)
    collector = ClientsCollector(clock).for_target()
    options = {"per_client": True, "include_port": True}
    found = await collect(commands(LINE.format(7, "a").encode()), collector, **options)
    assert values(found, "clients")
    assert values(found, "connected_client_info") == {("7", "a", "N", "", "127.0.0.1", "1", "default", ""): 1}
    created = {("7", "a"): 1795379930.0}
    assert values(found, "connected_client_created_at_timestamp") == created
    clock.advance(15.2)
    found = await collect(commands(LINE.format(7, "a").replace("age=70", "age=85").encode()), collector, **options)
    assert values(found, "connected_client_created_at_timestamp") == created


async def test_others_have_the_loop_while_a_long_list_is_read() -> None:
    turns = Counter[str]()

    async def other() -> None:
        while True:
            turns["other"] += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await collect(commands("".join(LINE.format(number, "a") for number in range(1000)).encode()))
    task.cancel()
    assert turns["other"] >= 20


async def test_a_line_that_is_no_client_costs_only_itself() -> None:
    text = LINE.format(1, "a").encode() + b"\xff\xfe\nname=x\n" + LINE.format(2, "\xff").encode("latin-1")
    found = await collect(commands(text))
    assert values(found, "clients") == {("default", "a", "x", "1"): 1, ("default", "\ufffd", "x", "1"): 1}
    assert [item for item in found if isinstance(item, UnreadableField)] == [UnreadableField("CLIENT LIST/line")] * 2


async def test_what_is_no_text_is_unreadable() -> None:
    assert (await collect(commands([1])))[1:] == [UnreadableField("CLIENT LIST")]


@given(st.binary(max_size=300) | st.text("id=name ageflagsto-m\n12", max_size=100).map(str.encode))
async def test_no_reply_breaks_it(text: bytes) -> None:
    await collect(commands(text), per_client=True)


async def test_an_error_goes_to_the_runner() -> None:
    with pytest.raises(PermissionDeniedError):
        await collect(FakeCommands({"CLIENT LIST": PermissionDeniedError("no permission")}), max_clients=0)


def test_every_target_remembers_for_itself_and_every_server_has_clients() -> None:
    assert COLLECTOR.for_target() is not COLLECTOR
    assert COLLECTOR.applies(Server(mode="sentinel"))
