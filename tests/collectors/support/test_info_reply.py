"""INFO is asked for in the form that this server knows, sent once a poll and parsed once.

A server that tells nothing is an error.
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
#: What servers answer to a form of INFO that they do not know.
NOTHING = [b"", b"# everything\r\n", b"\r\n", None, TargetError("Invalid section"), UnknownCommandError("unknown")]


async def test_every_section_is_asked_for_and_one_reply_is_parsed_once() -> None:
    commands, server = FakeCommands({"INFO everything": REPLY}), Server()
    first = await read_info(server, commands)
    assert first == PARSED
    assert await read_info(server, commands) is first
    assert commands.asked == ["INFO EVERYTHING"] * 2


@pytest.mark.parametrize("nothing", NOTHING)
async def test_a_form_that_tells_nothing_leads_to_the_next_one_and_the_choice_is_kept(nothing: Any) -> None:
    commands, server = FakeCommands({"INFO everything": nothing, "INFO all": nothing, "INFO": REPLY}), Server()
    assert await read_info(server, commands) == PARSED
    assert commands.asked == ["INFO EVERYTHING", "INFO ALL", "INFO"]
    assert await read_info(server, commands) == PARSED
    assert commands.asked[3:] == ["INFO"]


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
async def test_another_server_is_asked_for_everything_again(changed: Any) -> None:
    """It started again, was upgraded, or does not know the form any more."""
    commands, server = FakeCommands({"INFO everything": b"", "INFO all": REPLY}), Server()
    await read_info(server, commands)
    commands.replies |= {"INFO ALL": changed, "INFO EVERYTHING": REPLY}
    assert await read_info(server, commands) == PARSED
    commands.asked.clear()
    await read_info(server, commands)
    assert commands.asked == ["INFO EVERYTHING"]


async def test_a_server_that_tells_sections_alone_is_asked_for_them_one_by_one() -> None:
    replies = every_info(b"") | {"INFO server": REPLY, "INFO clients": b"# Clients\r\nconnected_clients:3\r\n"}
    commands, server = FakeCommands(replies), Server()
    assert await read_info(server, commands) == PARSED | {"Clients": {"connected_clients": "3"}}
    commands.asked.clear()
    await read_info(server, commands)
    assert commands.asked == ["INFO SERVER", "INFO CLIENTS"]


@pytest.mark.parametrize("nothing", [b"", b"# Server\r\n", None, b"no field"])
async def test_a_server_that_tells_nothing_at_all_is_an_error(nothing: Any) -> None:
    with pytest.raises(EmptyReplyError, match="holds no field"):
        await read_info(Server(), FakeCommands(every_info(nothing)))


async def test_an_error_of_the_server_is_not_lost() -> None:
    with pytest.raises(TargetError, match="made up"):
        await read_info(Server(), FakeCommands(every_info(b"") | {"INFO all": TargetError("made up")}))


@pytest.mark.parametrize("kind", [PermissionDeniedError, AuthError, LoadingError, OperationTimeoutError])
async def test_an_error_that_every_form_would_meet_ends_the_search(kind: type[TargetError]) -> None:
    commands = FakeCommands(every_info(kind("no")))
    with pytest.raises(kind):
        await read_info(Server(), commands)
    assert commands.asked == ["INFO EVERYTHING"]


async def test_a_server_without_info_is_not_asked_for_its_sections() -> None:
    commands = FakeCommands(every_info(UnknownCommandError("unknown command 'INFO'")))
    with pytest.raises(UnknownCommandError):
        await read_info(Server(), commands)
    assert commands.asked == ["INFO EVERYTHING", "INFO ALL", "INFO"]


async def test_several_collectors_of_a_poll_send_a_refused_form_once() -> None:
    commands = FakeCommands(every_info(TargetError("Invalid section")))
    asking, server = CachingCommands(commands, {}, {}, (), ManualClock()), Server()
    for _ in range(3):
        with pytest.raises(TargetError, match="Invalid section"):
            await read_info(server, asking)
    assert len(commands.asked) == 3 + len(SECTIONS)
