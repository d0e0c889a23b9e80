"""How pages write times, numbers, and the texts of others."""

import ast
from pathlib import Path

import pytest
from markupsafe import Markup

from redis_pulse.web.pages import texts
from tests.web.pages.scenes import HOSTILE, NOW

PAGES = Path(texts.__file__).parent


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_others_becomes_harmless(text: str) -> None:
    shown = str(texts.visible(text))
    assert "<script" not in shown
    assert not any(texts.is_hidden(character) for character in shown)
    assert not any(texts.is_hidden(character) for character in texts.plain(text))


def test_hidden_characters_are_boxes_with_their_number() -> None:
    assert texts.visible("a\u202eb") == 'a<span class="esc">202E</span>b'
    assert texts.plain("a\u202eb\n") == "a[202E]b[000A]"


def test_long_texts_are_cut_and_names_keep_both_ends() -> None:
    assert len(str(texts.visible("x" * 1000))) == 200
    shown = texts.short("begin" + "x" * 100 + "end")
    assert len(shown) == 64
    assert (shown[:5], shown[-3:]) == ("begin", "end")
    assert texts.short("short") == "short"


def test_own_html_escapes_its_values() -> None:
    made = texts.own("run ``x {}`` as `{}`", "<b>", Markup("<i>"))
    assert made == 'run <code class="cmd">x &lt;b&gt;</code> as <code><i></code>'


def test_own_html_is_made_of_literals_only() -> None:
    """A template that holds a text of others would not be escaped."""
    for file in PAGES.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("html", "own"):
                assert isinstance(node.args[0], ast.Constant), f"{file.name}:{node.lineno}"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (254, "4 min 14 s"),
        (900, "15 min"),
        (11000, "3 h 3 min"),
        (300000, "3 d 11 h"),
    ],
)
def test_spans_have_readable_units(seconds: float, text: str) -> None:
    assert texts.span(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, texts.NONE), (0.000_14, "0.14 ms"), (0.0012, "1.2 ms"), (0.26, "260 ms"), (1.231, "1.23 s")],
)
def test_latencies_have_two_digits(seconds: float | None, text: str) -> None:
    assert texts.milliseconds(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.31, "310 ms"), (1.23, "1.23 s"), (26, "26 s"), (300, "5 min")])
def test_durations_have_readable_units(seconds: float, text: str) -> None:
    assert texts.duration(seconds) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"), [(0, 9, "0"), (1, 0, "0"), (1, 900, "0.11 %"), (27, 1000, "2.7 %"), (1, 4, "25 %")]
)
def test_shares_have_two_digits(part: float, whole: float, text: str) -> None:
    assert texts.share(part, whole) == text


def test_times_are_utc() -> None:
    assert (texts.clock(NOW), texts.iso(NOW), texts.day(NOW)) == ("03:12:41", "2026-11-24T03:12:41Z", "24 Nov 2026")


def test_plurals_and_groups_of_digits() -> None:
    assert [texts.plural(count, "target") for count in (0, 1, 1000)] == ["0 targets", "1 target", "1\u202f000 targets"]
