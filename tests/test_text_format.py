"""Every parser reads back the numbers, labels and help texts that were rendered."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.text_format import escape_label_value, family_header, format_number, render_label


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
