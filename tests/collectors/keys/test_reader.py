from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.keys.reader import KeyReader, KeyReading, cached_cardinality, is_hyperloglog
from redis_pulse.errors import KeyDeniedError, LoadingError, PermissionDeniedError, TargetError, UnknownCommandError
from tests.fake_keyspace import FakeKeyspace
from tests.recordings import keys

ODD = st.none() | st.integers() | st.text(max_size=3) | st.binary(max_size=20) | st.lists(st.binary(max_size=3))
NAMES = ("string", "list", "set", "zset", "hash", "orders", "counted", "missing")


@pytest.mark.parametrize("server", keys.SERVERS)
async def test_real_servers_return_size_and_memory_of_every_type(server: str) -> None:
    commands = keys.commands(server)
    read = await KeyReader(commands, 0).read([name.encode() for name in NAMES])
    sizes = dict(zip(NAMES, [one.size for one in read], strict=True))
    assert sizes == {"string": 5, "list": 3, "set": 4, "zset": 2, "hash": 1, "orders": 9, "counted": 5, "missing": 0}
    assert all(one.memory is not None and one.memory > 20 for one in read[:-1])
    assert (read[-1].kind, read[-1].memory) == ("none", None)
    assert not any(one.unreadable or one.text for one in read)


@pytest.mark.parametrize("server", keys.SERVERS)
async def test_changed_hyperloglog_has_a_size_only_with_pfcount(server: str) -> None:
    """PFCOUNT writes its result, so it needs an option. It is never sent for other strings."""
    commands = keys.commands(server)
    (stale,) = await KeyReader(commands, 0).read([b"stale"])
    assert (stale.size, stale.unreadable) == (None, ())
    assert not any("PFCOUNT" in command for command in commands.requests)
    stale, string = await KeyReader(commands, 0, pfcount=True).read([b"stale", b"string"])
    assert (stale.size, string.size) == (5, 5)
    assert [command for command in commands.requests if "PFCOUNT" in command] == ["PFCOUNT STALE @0"]


@pytest.mark.parametrize("server", keys.SERVERS)
async def test_text_is_read_only_of_plain_strings(server: str) -> None:
    string, log = await KeyReader(keys.commands(server), 0, 256).read([b"string", b"counted"])
    assert (string.text, log.text) == (b"hello", None)


async def test_key_of_an_unknown_type_has_memory_and_no_size() -> None:
    space = FakeKeyspace({0: {b"doc": b"{}"}})
    space.kinds[b"doc"] = b"ReJSON-RL"
    assert await KeyReader(space, 0).read([b"doc"]) == [KeyReading("ReJSON-RL", None, 55)]


async def test_denied_key_is_the_only_unreadable_one() -> None:
    def kind(_: str, key: str) -> Any:
        return KeyDeniedError("no") if key == "a" else b"string"

    space = FakeKeyspace({0: {b"a": b"1", b"b": b"22"}}, overrides={"TYPE": kind})
    denied, allowed = await KeyReader(space, 0).read([b"a", b"b"])
    assert (denied.kind, denied.size, denied.unreadable) == (None, None, ("TYPE",))
    assert (allowed.size, allowed.memory) == (2, 53)


async def test_server_without_memory_usage_returns_sizes() -> None:
    space = FakeKeyspace({0: {b"a": b"1"}}, overrides={"MEMORY": UnknownCommandError("unknown command")})
    assert await KeyReader(space, 0).read([b"a"]) == [KeyReading("string", 1)]


async def test_key_that_changes_its_type_between_commands_is_unreadable() -> None:
    space = FakeKeyspace(
        {0: {b"a": b"1"}}, overrides={"STRLEN": TargetError("WRONGTYPE"), "GETRANGE": TargetError("WRONG")}
    )
    assert await KeyReader(space, 0).read([b"a"]) == [KeyReading("string", None, 52, None, ("STRLEN",))]


@pytest.mark.parametrize("error", [PermissionDeniedError("no"), LoadingError("loading")])
async def test_error_of_the_whole_server_is_raised(error: TargetError) -> None:
    with pytest.raises(type(error)):
        await KeyReader(FakeKeyspace({}, overrides={"TYPE": error, "MEMORY": 1}), 0).read([b"a"])


@given(ODD, ODD, ODD, ODD)
async def test_any_reply_raises_nothing(kind: Any, memory: Any, size: Any, head: Any) -> None:
    odd = {"TYPE": kind, "MEMORY": memory, "STRLEN": size, "GETRANGE": head, "PFCOUNT": size}
    (read,) = await KeyReader(FakeKeyspace({}, overrides=odd), 0, 256, pfcount=True).read([b"a"])
    assert read.memory is None or isinstance(read.memory, int)
    (read,) = await KeyReader(FakeKeyspace({}, overrides=odd | {"TYPE": b"string"}), 0, 256, pfcount=True).read([b"a"])
    assert read.size is None or isinstance(read.size, int)


def test_hyperloglog_is_recognized_by_its_head() -> None:
    head = b"HYLL\x01\0\0\0" + (1234).to_bytes(8, "little")
    assert is_hyperloglog(head)
    assert cached_cardinality(head) == 1234
    assert cached_cardinality(head[:15] + b"\x80") is None
    assert not any(map(is_hyperloglog, (b"HYLL", b"HYLL\x07" + bytes(11), b"x" * 16, None, 7)))
