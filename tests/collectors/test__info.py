"""INFO is asked for with every section, sent once a poll and parsed once."""

from exporter.collectors._info import read_info
from exporter.targets import Server
from tests.fakes import FakeCommands


async def test_every_section_is_asked_for_and_one_reply_is_parsed_once() -> None:
    reply = b"# Server\r\nredis_version:7.0.0\r\n"
    commands, server = FakeCommands({"INFO everything": reply}), Server()
    first = await read_info(server, commands)
    assert first == {"Server": {"redis_version": "7.0.0"}}
    assert await read_info(server, commands) is first
    assert commands.asked == ["INFO EVERYTHING"] * 2


async def test_a_server_that_does_not_know_everything_is_asked_for_what_it_gives_by_itself() -> None:
    commands = FakeCommands({"INFO everything": b"", "INFO": b"# Server\r\nredis_version:2.8.0\r\n"})
    assert await read_info(Server(), commands) == {"Server": {"redis_version": "2.8.0"}}
