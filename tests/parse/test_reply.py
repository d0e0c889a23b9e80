from typing import Any

import pytest

from redis_pulse.parse.reply import as_integer, as_list, as_text


@pytest.mark.parametrize(
    ("reply", "text"), [(b"abc", "abc"), ("abc", "abc"), (b"\xff!", "\ufffd!"), (None, None), (1, None), ([b"a"], None)]
)
def test_text_comes_from_strings_only(reply: Any, text: str | None) -> None:
    assert as_text(reply) == text


@pytest.mark.parametrize(
    ("reply", "integer"),
    [
        (12, 12),
        (-(2**63), -(2**63)),
        (2**63, None),
        (10**400, None),
        (True, None),
        (1.5, None),
        (b"12", None),
        (None, None),
    ],
)
def test_integers_come_from_64_bit_integers_only(reply: Any, integer: int | None) -> None:
    assert as_integer(reply) == integer


@pytest.mark.parametrize(("reply", "items"), [([1], [1]), ([], []), (None, None), (b"a", None), ({}, None)])
def test_lists_come_from_arrays_only(reply: Any, items: list[Any] | None) -> None:
    assert as_list(reply) == items
