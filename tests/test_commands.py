"""Only commands that read may be sent twice."""

import pytest

from redis_pulse.collectors import load
from redis_pulse.commands import CONTAINER_COMMANDS, READ_ONLY, Args, is_read


@pytest.mark.parametrize(
    "args",
    [
        ("INFO",),
        ("info", "all"),
        ("GET", b"\xff"),
        ("SLOWLOG", "GET", 1),
        ("config", "get", "*"),
        ("XINFO", "STREAM", "s"),
    ],
)
def test_read_is_recognized(args: Args) -> None:
    assert is_read(args)


@pytest.mark.parametrize(
    "args", [("SET", "k", 1), ("CONFIG", "SET", "a", "b"), ("SLOWLOG", "RESET"), ("EVAL", "x", 0), ("CLIENT", "KILL")]
)
def test_write_is_not_a_read(args: Args) -> None:
    assert not is_read(args)


def test_every_read_with_subcommand_has_a_container() -> None:
    """Otherwise the refusal of one subcommand would count for all of them."""
    words = {name.split()[0] for name in READ_ONLY if " " in name}
    assert words <= CONTAINER_COMMANDS


def test_every_subcommand_of_a_collector_has_a_container() -> None:
    sent = {command.partition("|")[0].upper() for one in load().values() for command in one.commands if "|" in command}
    assert sent <= CONTAINER_COMMANDS
