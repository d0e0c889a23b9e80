"""Every parser reads back the numbers, labels and help texts that were rendered."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from redis_pulse.text_format import (
    MAX_LINE_BYTES,
    MAX_VALUE_BYTES,
    ChangedValues,
    escape_label_value,
    family_header,
    format_number,
    render_label,
    render_labels,
)


@given(st.floats())
def test_number_reads_back_as_itself(value: float) -> None:
    read_back = float(format_number(value))
    assert read_back == value or (math.isnan(read_back) and math.isnan(value))


@pytest.mark.parametrize(("value", "text"), [(3, "3"), (2.0, "2"), (0.5, "0.5"), (1e21, "1e+21"), (math.inf, "+Inf")])
def test_numbers_have_the_shortest_text(value: float, text: str) -> None:
    assert format_number(value) == text


def test_help_texts_and_labels_are_escaped() -> None:
    assert family_header("x", "gauge", 'a\\b\n"c"', openmetrics=False).splitlines()[0] == b'# HELP x a\\\\b\\n"c"'
    assert family_header("x", "gauge", '"c"', openmetrics=True).splitlines()[0] == b'# HELP x \\"c\\"'
    assert escape_label_value('a"b\\c\nd') == 'a\\"b\\\\c\\nd'
    assert render_label("target", 'a"b') == 'target="a\\"b"'


#: What reorders, hides or breaks text in a terminal or a browser, and what cannot be encoded.
UNSAFE = [*map(chr, range(10)), *map(chr, range(11, 32)), *map(chr, range(127, 160)), *"\u061c\u200e\u200f\u2028\u2029"]
UNSAFE += [*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A)), "\ufeff", "\ud800", "\udfff"]


@pytest.mark.parametrize("character", UNSAFE, ids=lambda character: f"{ord(character):04x}")
def test_unsafe_character_is_replaced_and_counted(character: str) -> None:
    before = ChangedValues.count
    assert escape_label_value(f"a{character}b") == "a\N{REPLACEMENT CHARACTER}b"
    assert ChangedValues.count == before + 1


@given(st.text(max_size=400) | st.text(max_size=5).map(lambda text: text * 100) | st.text('\\\\"\n€', max_size=400))
def test_value_stays_short_and_valid_whatever_it_contains(text: str) -> None:
    """Neither an escape nor a character is cut into two."""
    before = ChangedValues.count
    written = escape_label_value(text)
    assert len(written.encode()) <= MAX_VALUE_BYTES
    (family,) = text_string_to_metric_families(f'x{{a="{written}"}} 1\n')
    shown = family.samples[0].labels["a"]
    assert (shown == text) is (ChangedValues.count == before)


def test_long_values_with_the_same_beginning_stay_different() -> None:
    one, other = escape_label_value("x" * 1000), escape_label_value("x" * 1001)
    assert one != other
    assert one.startswith("x" * 240)
    assert "…" in one


def test_labels_of_a_target_fit_into_one_line() -> None:
    labels = {f"label_{number}": "\N{EURO SIGN}" * 1000 for number in range(200)} | {"n" * 5000: "x"}
    line = ",".join(render_labels(labels))
    assert len(line.encode()) <= MAX_LINE_BYTES - 700
    assert 'label_29="' in line
    assert 'label_30="' not in line


def test_help_text_is_one_line_of_bounded_length() -> None:
    header = family_header("x", "gauge", "a\x1bb\nc" + "d" * 5000, openmetrics=False)
    assert header.startswith(b"# HELP x a b\\ncd")
    assert len(max(header.splitlines(), key=len)) < MAX_LINE_BYTES
