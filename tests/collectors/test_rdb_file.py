import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.rdb_file import COLLECTOR, RdbFileCollector, is_local_client, snapshot_path
from redis_pulse.config import Options
from redis_pulse.errors import UnknownCommandError
from redis_pulse.metric import Sample, UnreadableField
from redis_pulse.server_info import Server
from tests.fakes import FakeCommands

LOCAL = b"id=3 addr=127.0.0.1:34454 laddr=127.0.0.1:6379 fd=9 name= db=0 user=default resp=2\n"
Replies = dict[str | tuple[str | int | bytes, ...], Any]
ODD = st.none() | st.integers() | st.binary(max_size=9) | st.lists(st.binary(max_size=9) | st.none(), max_size=4)


async def read(
    folder: Any, name: Any = b"dump.rdb", client: Any = LOCAL, collector: RdbFileCollector = COLLECTOR
) -> list[Any]:
    replies: Replies = {
        "CLIENT INFO": client,
        "CONFIG GET dir": [b"dir", folder],
        "CONFIG GET dbfilename": [b"dbfilename", name],
    }
    items = list(await collector.collect(Server(), FakeCommands(replies), Options()))
    return [item.value if isinstance(item, Sample) else item for item in items]


async def test_size_of_the_snapshot_is_read_from_disk(tmp_path: Path) -> None:
    (tmp_path / "dump.rdb").write_bytes(b"x" * 123)
    assert await read(str(tmp_path).encode()) == [123]


async def test_missing_file_gives_no_sample(tmp_path: Path) -> None:
    assert await read(str(tmp_path).encode()) == []
    assert await read(str(tmp_path / "gone").encode()) == []


async def test_links_and_folders_are_not_snapshots(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x" * 123)
    (tmp_path / "dump.rdb").symlink_to(tmp_path / "secret")
    (tmp_path / "folder").mkdir()
    assert await read(str(tmp_path).encode()) == []
    assert await read(str(tmp_path).encode(), b"folder") == []


@pytest.mark.parametrize("name", [b"../passwd", b"/etc/passwd", b"..", b".", b"", b"a\0b"])
async def test_name_that_leads_out_of_the_folder_is_unreadable(tmp_path: Path, name: bytes) -> None:
    (tmp_path / "passwd").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    assert await read(str(tmp_path / "folder").encode(), name) == [UnreadableField("RDB file/size")]


@pytest.mark.parametrize("folder", [b"data", b"", None, 7])
async def test_folder_that_is_not_an_absolute_path_is_unreadable(folder: Any) -> None:
    assert await read(folder) == [UnreadableField("RDB file/size")]


@pytest.mark.parametrize("name", [b"x" * 300])
async def test_name_that_the_file_system_rejects_is_unreadable(tmp_path: Path, name: bytes) -> None:
    assert await read(str(tmp_path).encode(), name) == [UnreadableField("RDB file/size")]


async def test_file_without_permission_is_unreadable() -> None:
    def size(path: Path) -> int:
        raise PermissionError(13, "Permission denied", path)

    assert await read(b"/var/lib/redis", collector=RdbFileCollector(size)) == [UnreadableField("RDB file/size")]


async def test_folder_of_a_remote_server_is_not_requested() -> None:
    commands = FakeCommands({"CLIENT INFO": LOCAL.replace(b"addr=127.0.0.1", b"addr=10.0.0.9", 1)})
    assert list(await COLLECTOR.collect(Server(), commands, Options())) == []
    assert commands.requests == ["CLIENT INFO"]


async def test_client_info_without_an_address_is_unreadable() -> None:
    assert await read(b"/", client=b"id=3 name=") == [UnreadableField("CLIENT INFO/addr")]


async def test_server_without_client_info_is_not_supported() -> None:
    with pytest.raises(UnknownCommandError):
        await read(b"/", client=UnknownCommandError("unknown subcommand 'INFO'"))


async def test_slow_disk_does_not_block_the_event_loop() -> None:
    loop, has_run = asyncio.get_running_loop(), asyncio.Event()

    def size(path: Path) -> int:
        asyncio.run_coroutine_threadsafe(run(), loop).result(5)  # times out if the event loop is blocked
        return 7

    async def run() -> None:
        has_run.set()

    assert await read(b"/data", collector=RdbFileCollector(size)) == [7]
    assert has_run.is_set()


@pytest.mark.parametrize(
    ("client", "is_local"),
    [
        ("addr=127.0.0.1:5 laddr=127.0.0.1:6379", True),
        ("addr=127.1.2.3:5", True),
        ("addr=[::1]:5 laddr=[::1]:6379", True),
        ("addr=/run/redis.sock:0 laddr=/run/redis.sock:0", True),
        ("addr=172.17.0.1:5 laddr=172.17.0.2:6379", False),  # a forwarded port of a container
        ("addr=[fe80::1]:5", False),
        ("laddr=127.0.0.1:6379", None),
        ("addr=:0", None),
        ("addr=localhost:5", None),
        ("", None),
    ],
)
def test_client_info_shows_whether_the_exporter_is_local(client: str, is_local: bool | None) -> None:
    assert is_local_client(client) is is_local


@given(st.text() | st.binary().map(lambda raw: raw.decode(errors="replace")))
def test_any_line_without_an_address_is_not_local(client: str) -> None:
    assert not is_local_client(client.replace("addr=", ""))


@given(st.text(), st.text())
def test_path_of_any_name_is_inside_the_folder(folder: str, name: str) -> None:
    path = snapshot_path("/" + folder, name)
    assert path is None or (path.parent == Path("/" + folder) and path.name != "..")


@given(ODD, ODD, ODD)
async def test_any_reply_is_read_without_an_exception(client: Any, folder: Any, name: Any) -> None:
    replies: Replies = {"CLIENT INFO": client, "CONFIG GET dir": folder, "CONFIG GET dbfilename": name}
    for reply in (client, LOCAL):
        items = list(
            await RdbFileCollector(lambda _: None).collect(
                Server(), FakeCommands(replies | {"CLIENT INFO": reply}), Options()
            )
        )
        assert set(items) <= {UnreadableField("RDB file/size"), UnreadableField("CLIENT INFO/addr")}


def test_off_by_default_and_only_for_local_servers_with_snapshots() -> None:
    assert not COLLECTOR.default
    assert COLLECTOR.applies(Server(local=True, mode="cluster"))
    assert not COLLECTOR.applies(Server(local=True, mode="sentinel"))
    assert not COLLECTOR.applies(Server(local=False, mode="standalone"))
