"""Hot keys of Redis 8.6, from its documentation: no server with this command could be run here.

``HotkeysServer`` behaves as the documentation of HOTKEYS START, GET and STOP says.
"""

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from redis_pulse.collectors.hotkeys import COLLECTOR, MAX_PATTERNS, HotkeysOptions, session_fields, shape_of
from redis_pulse.errors import OperationTimeoutError, PermissionDeniedError, TargetError
from redis_pulse.metric import CollectorFault, CollectorItem, Sample, UnreadableField
from redis_pulse.server_info import Server

NOW = 1_769_500_000
Keys = dict[bytes, int]


class HotkeysServer:
    """Implements ``Commands`` for a Redis 8.6. ``sent`` are the commands that it received."""

    def __init__(self, by_cpu: Keys | None = None, by_bytes: Keys | None = None, *, wrapped: bool = False) -> None:
        self.by_cpu, self.by_bytes, self.wrapped = by_cpu or {}, by_bytes or {}, wrapped
        self.began: int | None = None
        self.active = False
        self.refusal: TargetError | None = None
        self.sent: list[str] = []

    async def execute(self, *args: Any, db: int | None = None) -> Any:
        (reply,) = await self.pipeline([args])
        if isinstance(reply, TargetError):
            raise reply
        return reply

    async def pipeline(self, commands: Sequence[tuple[Any, ...]], *, db: int | None = None) -> list[Any]:
        return [self._reply(" ".join(map(str, args))) for args in commands]

    def _reply(self, command: str) -> Any:
        self.sent.append(command)
        if command == "HOTKEYS GET":
            return None if self.began is None else self._session()
        assert command.startswith("HOTKEYS START METRICS 2 CPU NET COUNT ")
        if self.refusal is not None:
            return self.refusal
        if self.active:
            return TargetError("hotkey tracking session in progress")
        self.began, self.active = NOW, True
        return b"OK"

    def _session(self) -> list[Any]:
        assert self.began is not None
        fields = {
            b"tracking-active": int(self.active),
            b"sample-ratio": 100,
            b"selected-slots": [],
            b"all-commands-all-slots-us": 2_200_000,
            b"net-bytes-all-commands-all-slots": 90_000,
            b"collection-start-time-unix-ms": self.began * 1000,
            b"collection-duration-ms": 60_000,
            b"by-cpu-time-us": [part for pair in self.by_cpu.items() for part in pair],
            b"by-net-bytes": [part for pair in self.by_bytes.items() for part in pair],
        }
        flat = [part for pair in fields.items() for part in pair]
        return [flat] if self.wrapped else flat


def server_of(**fields: str) -> Server:
    server = Server()
    server.update({"server_time_usec": str(NOW * 1_000_000), "role": "master"} | fields)
    return server


def redis_8_6() -> Server:
    return server_of(redis_version="8.6.0")


async def collect(server: HotkeysServer, **options: Any) -> list[CollectorItem]:
    return list(await COLLECTOR.collect(redis_8_6(), server, HotkeysOptions(**options)))


def values(items: list[CollectorItem]) -> dict[tuple[str, ...], float]:
    return {
        (one.metric.name.removeprefix("hotkeys_"), *one.labels): one.value for one in items if isinstance(one, Sample)
    }


def after_session(seconds_ago: int, by_cpu: Keys | None = None, by_bytes: Keys | None = None) -> HotkeysServer:
    server = HotkeysServer(by_cpu, by_bytes)
    server.began = NOW - seconds_ago
    return server


@pytest.mark.parametrize("wrapped", [False, True], ids=["flat", "in another array"])
async def test_use_of_hot_keys_is_summed_by_pattern(wrapped: bool) -> None:
    """The documentation shows a flat reply. The tests of Redis read one that is wrapped in another array."""
    server = HotkeysServer(
        {b"session:1": 400_000, b"session:2": 60_000, b"cart:9:items": 45_000}, {b"session:1": 20_000}, wrapped=wrapped
    )
    server.began = NOW - 5
    assert values(await collect(server, patterns=["session:*"])) == {
        ("session_sample_ratio",): 100,
        ("session_seconds",): 60,
        ("session_cpu_seconds",): 2.2,
        ("session_net_bytes",): 90_000,
        ("keys", "session:*"): 2,
        ("keys", "*:*:*"): 1,
        ("key_cpu_seconds", "session:*"): 0.46,
        ("key_cpu_seconds", "*:*:*"): 0.045,
        ("key_net_bytes", "session:*"): 20_000,
        ("hottest_key_cpu_seconds",): 0.4,
        ("hottest_key_net_bytes",): 20_000,
    }


@pytest.mark.parametrize("name", [b"jane.doe@example.org", b"patient:jane doe:17", b"\xff\x00secret", b"x" * 5000])
async def test_no_part_of_a_name_is_a_label_unless_configured(name: bytes) -> None:
    """A session lists too few keys to tell that a part of a name is common, and so no secret."""
    labels = [label for _, *labels in values(await collect(after_session(5, {name: 1}))) for label in labels]
    assert labels
    assert all(set(label) <= set("*:/|#.") for label in labels)


async def test_patterns_have_a_cap_and_the_rest_is_summed() -> None:
    keys = {(b"a:" * number) + b"x": 10 for number in range(15)} | {
        (b"a/" * number) + b"x": 10 for number in range(1, 15)
    }
    found = values(await collect(after_session(5, keys)))
    labels = {label for name, *labels in found for label in labels if name == "key_cpu_seconds"}
    assert len(labels) == MAX_PATTERNS + 1
    assert found["keys", "overflow"] == len(keys) - MAX_PATTERNS


async def test_session_is_never_started_by_default() -> None:
    for server in (HotkeysServer(), after_session(10**6)):
        await collect(server)
        assert server.sent == ["HOTKEYS GET"]


async def test_session_is_started_when_none_was() -> None:
    server = HotkeysServer()
    assert await collect(server, start=True, duration=30, sample=10, keys=20) == []
    assert server.sent[1:] == ["HOTKEYS START METRICS 2 CPU NET COUNT 20 DURATION 30 SAMPLE 10"]


async def test_running_session_is_left_alone() -> None:
    """It may be that of an operator, and a start would fail or discard it."""
    server = after_session(10**6, {b"x": 1})
    server.active = True
    await collect(server, start=True)
    assert server.sent == ["HOTKEYS GET"]


async def test_result_of_a_session_stays_until_the_next_is_due() -> None:
    server = after_session(599)
    await collect(server, start=True, every=600)
    assert server.sent == ["HOTKEYS GET"]
    server.began = NOW - 600
    await collect(server, start=True, every=600)
    assert len(server.sent) == 3


async def test_session_of_a_quicker_client_is_no_error() -> None:
    server = HotkeysServer()
    server.refusal = TargetError("hotkey tracking session in progress")
    assert await collect(server, start=True) == []


async def test_denied_start_is_reported_while_the_rest_is_read() -> None:
    server = after_session(10**6, {b"x": 1})
    server.refusal = PermissionDeniedError("no permissions to run 'hotkeys|start'")
    items = await collect(server, start=True)
    assert [(one.part, one.reason) for one in items if isinstance(one, CollectorFault)] == [
        ("HOTKEYS START", "permission")
    ]
    assert values(items)["keys", "*"] == 1


async def test_lost_connection_ends_the_poll() -> None:
    server = HotkeysServer()
    server.refusal = OperationTimeoutError("no reply")
    with pytest.raises(OperationTimeoutError):
        await collect(server, start=True)


@pytest.mark.parametrize(
    "reply", [5, [], [1], [b"tracking-active"], [b"tracking-active", 2], [b"tracking-active", b"x"], [[[]]]]
)
def test_malformed_session_is_not_read(reply: Any) -> None:
    assert session_fields(reply) is None


async def test_malformed_list_of_keys_does_not_affect_the_other() -> None:
    server = after_session(5, {b"x": -1}, {b"x": 7})
    items = await collect(server)
    assert [one.location for one in items if isinstance(one, UnreadableField)] == ["HOTKEYS GET/by-cpu-time-us"]
    assert values(items)["key_net_bytes", "*"] == 7


def test_only_redis_8_6_and_later_has_the_command() -> None:
    assert COLLECTOR.applies(redis_8_6())
    assert COLLECTOR.applies(server_of(redis_version="8.10.1"))
    assert not COLLECTOR.applies(server_of(redis_version="8.4.0"))
    assert not COLLECTOR.applies(server_of(redis_version="8.6.0", valkey_version="9.1.2"))


def test_long_shape_is_shortened() -> None:
    assert len(shape_of("a:" * 200)) < 10


def test_it_is_off_by_default_and_starts_nothing() -> None:
    assert not COLLECTOR.default
    assert not HotkeysOptions().start


@pytest.mark.parametrize("bad", [{"every": 5}, {"keys": 65}, {"duration": 0}, {"sample": 0}])
def test_bad_option_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HotkeysOptions(**bad)
