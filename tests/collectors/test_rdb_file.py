import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.rdb_file import COLLECTOR, RdbFileCollector, seen_from_here, snapshot
from redis_pulse.config import Options
from redis_pulse.errors import UnknownCommandError
from redis_pulse.metric import Sample, UnreadableField
from redis_pulse.server_info import Server
from tests.fakes import FakeCommands

HERE = b"id=3 addr=127.0.0.1:34454 laddr=127.0.0.1:6379 fd=9 name= db=0 user=default resp=2\n"
Replies = dict[str | tuple[str | int | bytes, ...], Any]
ODD = st.none() | st.integers() | st.binary(max_size=9) | st.lists(st.binary(max_size=9) | st.none(), max_size=4)


async def read(
    folder: Any, name: Any = b"dump.rdb", client: Any = HERE, collector: RdbFileCollector = COLLECTOR
) -> list[Any]:
    replies: Replies = {
        "CLIENT INFO": client,
        "CONFIG GET dir": [b"dir", folder],
        "CONFIG GET dbfilename": [b"dbfilename", name],
    }
    found = list(await collector.collect(Server(), FakeCommands(replies), Options()))
    return [item.value if isinstance(item, Sample) else item for item in found]


async def test_the_size_of_the_snapshot_is_read_from_disk(tmp_path: Path) -> None:
    (tmp_path / "dump.rdb").write_bytes(b"x" * 123)
    assert await read(str(tmp_path).encode()) == [123]


async def test_where_there_is_no_file_there_is_no_sample(tmp_path: Path) -> None:
    assert await read(str(tmp_path).encode()) == []
    assert await read(str(tmp_path / "gone").encode()) == []


async def test_a_link_is_not_followed_and_a_folder_is_no_snapshot(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x" * 123)
    (tmp_path / "dump.rdb").symlink_to(tmp_path / "secret")
    (tmp_path / "folder").mkdir()
    assert await read(str(tmp_path).encode()) == []
    assert await read(str(tmp_path).encode(), b"folder") == []


@pytest.mark.parametrize("name", [b"../passwd", b"/etc/passwd", b"..", b".", b"", b"a\0b"])
async def test_a_name_that_leads_out_of_the_folder_is_unreadable(tmp_path: Path, name: bytes) -> None:
    (tmp_path / "passwd").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    assert await read(str(tmp_path / "folder").encode(), name) == [UnreadableField("RDB file/size")]


@pytest.mark.parametrize("folder", [b"data", b"", None, 7])
async def test_a_folder_that_is_no_whole_path_is_unreadable(folder: Any) -> None:
    assert await read(folder) == [UnreadableField("RDB file/size")]


@pytest.mark.parametrize("name", [b"x" * 300])
async def test_what_the_disk_refuses_is_unreadable(tmp_path: Path, name: bytes) -> None:
    assert await read(str(tmp_path).encode(), name) == [UnreadableField("RDB file/size")]


async def test_a_file_that_we_may_not_look_at_is_unreadable() -> None:
    def size(path: Path) -> int:
        raise PermissionError(13, "Permission denied", path)

    assert await read(b"/var/lib/redis", collector=RdbFileCollector(size)) == [UnreadableField("RDB file/size")]


async def test_a_server_elsewhere_is_not_asked_for_its_folder() -> None:
    commands = FakeCommands({"CLIENT INFO": HERE.replace(b"addr=127.0.0.1", b"addr=10.0.0.9", 1)})
    assert list(await COLLECTOR.collect(Server(), commands, Options())) == []
    assert commands.asked == ["CLIENT INFO"]


async def test_a_server_that_does_not_say_whence_we_come_is_unreadable() -> None:
    assert await read(b"/", client=b"id=3 name=") == [UnreadableField("CLIENT INFO/addr")]


async def test_a_server_that_cannot_say_whence_we_come_is_not_supported() -> None:
    with pytest.raises(UnknownCommandError):
        await read(b"/", client=UnknownCommandError("unknown subcommand 'INFO'"))


async def test_a_slow_disk_does_not_stop_the_loop() -> None:
    loop, turned = asyncio.get_running_loop(), asyncio.Event()

    def size(path: Path) -> int:
        asyncio.run_coroutine_threadsafe(turn(), loop).result(5)  # never comes back when the loop stands still
        return 7

    async def turn() -> None:
        turned.set()

    assert await read(b"/data", collector=RdbFileCollector(size)) == [7]
    assert turned.is_set()


@pytest.mark.parametrize(
    ("client", "here"),
    [
        ("addr=127.0.0.1:5 laddr=127.0.0.1:6379", True),
        ("addr=127.1.2.3:5", True),
        ("addr=[::1]:5 laddr=[::1]:6379", True),
        ("addr=/run/redis.sock:0 laddr=/run/redis.sock:0", True),
        ("addr=172.17.0.1:5 laddr=172.17.0.2:6379", False),  # a port of a container, forwarded
        ("addr=[fe80::1]:5", False),
        ("laddr=127.0.0.1:6379", None),
        ("addr=:0", None),
        ("addr=localhost:5", None),
        ("", None),
    ],
)
def test_whether_we_come_from_the_same_machine(client: str, here: bool | None) -> None:
    assert seen_from_here(client) is here


@given(st.text() | st.binary().map(lambda raw: raw.decode(errors="replace")))
def test_no_line_breaks_it(client: str) -> None:
    assert not seen_from_here(client.replace("addr=", ""))


@given(st.text(), st.text())
def test_no_name_leads_out_of_the_folder(folder: str, name: str) -> None:
    path = snapshot("/" + folder, name)
    assert path is None or (path.parent == Path("/" + folder) and path.name != "..")


@given(ODD, ODD, ODD)
async def test_no_reply_breaks_it(client: Any, folder: Any, name: Any) -> None:
    replies: Replies = {"CLIENT INFO": client, "CONFIG GET dir": folder, "CONFIG GET dbfilename": name}
    for reply in (client, HERE):
        found = list(
            await RdbFileCollector(lambda _: None).collect(
                Server(), FakeCommands(replies | {"CLIENT INFO": reply}), Options()
            )
        )
        assert set(found) <= {UnreadableField("RDB file/size"), UnreadableField("CLIENT INFO/addr")}


def test_it_is_off_unless_asked_for_and_a_sentinel_has_no_snapshot() -> None:
    assert not COLLECTOR.default
    assert COLLECTOR.applies(Server(local=True, mode="cluster"))
    assert not COLLECTOR.applies(Server(local=True, mode="sentinel"))
    assert not COLLECTOR.applies(Server(local=False, mode="standalone"))
