"""Patterns of Lua find the same in Python; what each example finds was tried in Lua 5.1."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.migrate.lua_patterns import translated


@pytest.mark.parametrize(
    ("pattern", "text", "captured"),
    [
        ("^(.*)_[^_]+$", "session_cart_17", ("session_cart",)),
        ("^(user):%d+$", "user:17", ("user",)),
        ("^(user):%d+$", "user:17\n", None),
        ("(%a+):(%d-):", "order:12:x", ("order", "12")),
        ("([%w_]+)%.", "a_1.b", ("a_1",)),
        ("^(%u)(%l)", "Ab", ("A", "b")),
        ("(%D+)", "12ab3", ("ab",)),
        ("([^%s]+)", " ab c", ("ab",)),
        ("([%W]+)", "ab--cd", ("--",)),
        ("[]]x()", "", "position"),
        ("([]-]+)", "a-]b", ("-]",)),
        ("([a-c%-]+)", "xxa-cx", ("a-c",)),
        ("(a-)b", "aab", ("aa",)),
        ("(%x%x)$", "zzfF", ("fF",)),
        ("(.)", "\n", ("\n",)),
        ("a^b$c(.)", "a^b$cx", ("x",)),
    ],
)
def test_a_pattern_finds_what_it_finds_in_lua(pattern: str, text: str, captured: tuple[str, ...] | str | None) -> None:
    if captured == "position":
        with pytest.raises(ValueError, match="captures a position"):
            translated(pattern)
        return
    match = re.search(translated(pattern), text)
    assert (match and match.groups()) == captured


@pytest.mark.parametrize("pattern", ["%bxy", "%f[%w]", "(a)%1", "[abc", "%", "(a", "[a%"])
def test_a_pattern_without_a_like_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        translated(pattern)


@given(st.text("()[]%^$.-*+?abdDwWxz0 ]", max_size=12))
def test_whatever_is_written_becomes_a_regular_expression_or_is_refused(pattern: str) -> None:
    try:
        found = translated(pattern)
    except ValueError:
        return
    re.compile(found)
