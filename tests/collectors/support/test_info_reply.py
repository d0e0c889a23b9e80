"""INFO is requested in the form that the server supports, sent once a poll and parsed once.

A server that returns no fields is an error.
"""

from typing import Any

import pytest

from redis_pulse.collectors.support.info_lines import SECTIONS, read_info
from redis_pulse.errors import (
    AuthError,
    EmptyReplyError,
    LoadingError,
    OperationTimeoutError,
    PermissionDeniedError,
    TargetError,
    UnknownCommandError,
)
from redis_pulse.polling.poll_commands import CachingCommands
from redis_pulse.server_info import Server
from tests.fakes import FakeCommands, ManualClock, every_info

REPLY = b"# Server\r\nredis_version:7.0.0\r\nuptime_in_seconds:7\r\n"
PARSED = {"Server": {"redis_version": "7.0.0", "uptime_in_seconds": "7"}}
#: Replies of servers to a form of INFO that they do not support.
UNSUPPORTED_FORM = [
    b"",
    b"# everything\r\n",
    b"\r\n",
    None,
    TargetError("Invalid section"),
    UnknownCommandError("unknown"),
]


async def test_every_section_is_requested_and_a_reply_is_parsed_once() -> None:
    commands, server = FakeCommands({"INFO everything": REPLY}), Server()
    first = await read_info(server, commands)
    assert first == PARSED
    assert await read_info(server, commands) is first
    assert commands.requests == ["INFO EVERYTHING"] * 2


@pytest.mark.parametrize("reply", UNSUPPORTED_FORM)
async def test_form_without_fields_leads_to_the_next_one_which_is_kept(reply: Any) -> None:
    commands, server = FakeCommands({"INFO everything": reply, "INFO all": reply, "INFO": REPLY}), Server()
    assert await read_info(server, commands) == PARSED
    assert commands.requests == ["INFO EVERYTHING", "INFO ALL", "INFO"]
    assert await read_info(server, commands) == PARSED
    assert commands.requests[3:] == ["INFO"]


@pytest.mark.parametrize(
    "changed",
    [
        b"# Server\r\nredis_version:7.0.0\r\nuptime_in_seconds:1\r\n",
        b"# Server\r\nredis_version:8.0.0\r\nuptime_in_seconds:9\r\n",
        b"# Server\r\nredis_version:7.0.0\r\nrun_id:other\r\nuptime_in_seconds:9\r\n",
        b"",
        TargetError("Invalid section"),
    ],
)
async def test_changed_server_is_queried_for_everything_again(changed: Any) -> None:
    """It was restarted or upgraded, or does not support the form any more."""
    commands, server = FakeCommands({"INFO everything": b"", "INFO all": REPLY}), Server()
    await read_info(server, commands)
    commands.replies |= {"INFO ALL": changed, "INFO EVERYTHING": REPLY}
    assert await read_info(server, commands) == PARSED
    commands.requests.clear()
    await read_info(server, commands)
    assert commands.requests == ["INFO EVERYTHING"]


async def test_server_that_returns_only_single_sections_is_queried_one_by_one() -> None:
    replies = every_info(b"") | {"INFO server": REPLY, "INFO clients": b"# Clients\r\nconnected_clients:3\r\n"}
    commands, server = FakeCommands(replies), Server()
    assert await read_info(server, commands) == PARSED | {"Clients": {"connected_clients": "3"}}
    commands.requests.clear()
    await read_info(server, commands)
    assert commands.requests == ["INFO SERVER", "INFO CLIENTS"]


@pytest.mark.parametrize("reply", [b"", b"# Server\r\n", None, b"no field"])
async def test_server_without_any_field_is_an_error(reply: Any) -> None:
    with pytest.raises(EmptyReplyError, match="holds no field"):
        await read_info(Server(), FakeCommands(every_info(reply)))


async def test_error_of_one_form_is_raised_when_no_form_has_fields() -> None:
    with pytest.raises(TargetError, match="made up"):
        await read_info(Server(), FakeCommands(every_info(b"") | {"INFO all": TargetError("made up")}))


@pytest.mark.parametrize("kind", [PermissionDeniedError, AuthError, LoadingError, OperationTimeoutError])
async def test_error_that_affects_every_form_ends_the_search(kind: type[TargetError]) -> None:
    commands = FakeCommands(every_info(kind("no")))
    with pytest.raises(kind):
        await read_info(Server(), commands)
    assert commands.requests == ["INFO EVERYTHING"]


async def test_server_without_info_is_not_queried_for_sections() -> None:
    commands = FakeCommands(every_info(UnknownCommandError("unknown command 'INFO'")))
    with pytest.raises(UnknownCommandError):
        await read_info(Server(), commands)
    assert commands.requests == ["INFO EVERYTHING", "INFO ALL", "INFO"]


async def test_collectors_of_one_poll_send_a_refused_form_once() -> None:
    commands = FakeCommands(every_info(TargetError("Invalid section")))
    server = Server()
    caching = CachingCommands(commands, {}, {}, server, ManualClock())
    for _ in range(3):
        with pytest.raises(TargetError, match="Invalid section"):
            await read_info(server, caching)
    assert len(commands.requests) == 3 + len(SECTIONS)
