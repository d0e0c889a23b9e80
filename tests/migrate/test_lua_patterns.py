"""A translated Lua pattern finds the same with RE2. The results of the examples come from Lua 5.1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.config.regular_expressions import compile_expression
from redis_pulse.migrate.lua_patterns import translate


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
def test_translated_pattern_finds_the_same_as_in_lua(
    pattern: str, text: str, captured: tuple[str, ...] | str | None
) -> None:
    if captured == "position":
        with pytest.raises(ValueError, match="captures a position"):
            translate(pattern)
        return
    match = compile_expression(translate(pattern)).search(text)
    assert (match and match.groups()) == captured


@pytest.mark.parametrize("pattern", ["%bxy", "%f[%w]", "(a)%1", "[abc", "%", "(a", "[a%"])
def test_pattern_without_an_equivalent_is_rejected(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        translate(pattern)


@given(st.text("()[]%^$.-*+?abdDwWxz0 ]", max_size=12))
def test_any_text_becomes_a_regular_expression_or_is_rejected(pattern: str) -> None:
    try:
        regex = translate(pattern)
    except ValueError:
        return
    compile_expression(regex)
