"""docs/exit-codes.md has every code that the help of a command names, and no other."""

import re
from pathlib import Path

import pytest

from redis_pulse import calibrate, cli, doctor, keyspace_terminal

PAGE = (Path(__file__).parents[1] / "docs" / "exit-codes.md").read_text(encoding="utf-8")
EPILOGS = {
    "The daemon": cli.EPILOG,
    "doctor": doctor.parser().epilog,
    "keyspace": keyspace_terminal.parser().epilog,
    "calibrate": calibrate.parser().epilog,
}


@pytest.mark.parametrize("title", EPILOGS)
def test_codes_are_those_of_the_help(title: str) -> None:
    section = PAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    _, _, codes = str(EPILOGS[title]).partition("exit codes:")
    named = re.findall(r"(?:^|,|\n) +(\d+) ", codes)
    assert len(named) >= 4
    assert re.findall(r"^\| (\d+) \|", section, re.MULTILINE) == named
