"""The expressions of users take time in proportion to the text, and the rest is refused with a hint."""

import re

import pytest

from redis_pulse.config.regular_expressions import MAX_LENGTH, MAX_TEXT, ExpressionError, compile_expression

#: Expressions for which ``re`` needs seconds to hours, and a text that makes it so.
CATASTROPHIC = [
    (r"^(.*):(.*):(.*):[a-z]+$", ":" * (MAX_TEXT - 2) + "12"),
    (r"(.*):.*:.*:\d+$", ":" * MAX_TEXT),
    (r"^([a-z]+)+:", "a" * MAX_TEXT),
    (r"^(a|a?)+$", "a" * (MAX_TEXT - 1) + "b"),
    (r"((((a*)*)*)*)b", "a" * MAX_TEXT),
]


@pytest.mark.parametrize(("expression", "text"), CATASTROPHIC)
def test_catastrophic_expression_ends(expression: str, text: str) -> None:
    """With backtracking, this test would run for hours."""
    assert compile_expression(expression).search(text) is None


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("(?=a)", "lookaround is not supported"),
        ("(?!a)", "lookaround is not supported"),
        ("(?<=a)b", "lookaround is not supported"),
        ("(?<!a)b", "lookaround is not supported"),
        (r"(a)\1", "backreferences are not supported"),
        ("(?P<x>a)(?P=x)", "backreferences are not supported"),
        ("(?>a)", "atomic groups"),
        ("a++", "possessive"),
        ("(?#x)a", "comments"),
        (r"a\Z", r"write \z"),
        (r"\u20ac", r"\x{20ac}"),
        ("a{1001}", "limit of 1000"),
        ("((a{1,100}){1,100}){1,100}", "limit of 1000"),
        ("[a-z", "missing ]"),
        ("(a", "missing )"),
        ("\ud800", "not valid text"),
        ("a" * (MAX_LENGTH + 1), "more than 1000 characters"),
    ],
)
def test_expression_beyond_re2_is_refused_with_a_hint(expression: str, hint: str) -> None:
    with pytest.raises(ExpressionError, match=re.escape(hint)):
        compile_expression(expression)


@pytest.mark.parametrize(
    ("expression", "text", "groups"),
    [
        ("^([a-z]+):", "user:1", ("user",)),
        (r"(?P<kind>\w+):\d+$", "cart:17", ("cart",)),
        ("(?i)^(USER)", "user", ("user",)),
        ("^(a)|(b)", "b", (None, "b")),
        (r"^([^:]{1,100}):[0-9a-f-]{36}\z", "s:123e4567-e89b-12d3-a456-426614174000", ("s",)),
        ("(é+)", "caféé", ("éé",)),
    ],
)
def test_usual_expression_finds_what_re_finds(expression: str, text: str, groups: tuple[str | None, ...]) -> None:
    match = compile_expression(expression).search(text)
    assert match is not None
    assert match.groups() == groups
