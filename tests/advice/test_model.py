"""Placeholders are filled with texts that are safe to print and to paste."""

import pytest

from redis_pulse.advice import Advice, placeholders, printable

ROW = Advice(
    "RP999", "x", "error", "{host} is gone", "{host} is gone {n} times.", "Look at {host}.", "ping {host} {words}"
)


def test_placeholders_are_filled() -> None:
    filled = ROW.fill({"host": "a", "n": 2, "words": ("-c", "5")})
    assert filled[2:6] == ("a is gone", "a is gone 2 times.", "Look at a.", "ping a -c 5")
    assert filled.link == "findings/RP999.md"


def test_missing_value_is_shown_as_a_name_in_capitals() -> None:
    assert ROW.fill().why == "HOST is gone N times."


def test_command_quotes_what_a_shell_would_run() -> None:
    """A server chooses some of the values. The user pastes the command."""
    filled = ROW.fill({"host": "$(reboot)", "words": ("client|list", "a b")})
    assert filled.command == "ping '$(reboot)' 'client|list' 'a b'"


def test_placeholders_are_listed_once() -> None:
    assert placeholders(ROW) == {"host", "n", "words"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é", "plain é"),
        ("\x1b[31mred", "[1B][31mred"),
        ("a\u202eb\n", "a[202E]b[0A]"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_printable_shows_characters_that_change_a_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown
