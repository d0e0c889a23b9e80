"""Only known names become labels. Any other word may be a secret."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.parse.command_names import OTHER, command_name


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ([b"KEYS", b"user:*"], "keys"),
        (["get", "k"], "get"),
        ([b"config", b"GET", b"requirepass"], "config|get"),
        ([b"XGROUP", b"CREATECONSUMER", b"s"], "xgroup|createconsumer"),
        ([b"OBJECT", b"hunter2"], "object"),
        ([b"SCRIPT"], "script"),
        ([b"FT.SEARCH", b"idx"], "ft.search"),
        ([b"JSON.GET", b"doc"], "json.get"),
        ([b"restore-asking", b"k"], "restore-asking"),
        ([b"VSIM", b"k"], "vsim"),
        ([b"get extra"], OTHER),
        ([b"get|hunter2"], OTHER),
        ([b"b840fc02d524045429941cc15f59e41cb7be6c52"], OTHER),
        ([b"secretconfig"], OTHER),
        ([b"hunter2.get"], OTHER),
        ([b"\xff\x00"], OTHER),
        ([b"k" * 10_000_000], OTHER),
        ([None, b"GET"], OTHER),
        ([7], OTHER),
        ([], OTHER),
    ],
)
def test_command_has_its_name_or_other(words: list[Any], name: str) -> None:
    assert command_name(words) == name


@given(st.lists(st.text(max_size=50) | st.binary(max_size=50) | st.integers() | st.none(), max_size=3))
def test_name_of_any_words_is_short_and_clean(words: list[Any]) -> None:
    name = command_name(words)
    assert name
    assert len(name) <= 40
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.|-")
