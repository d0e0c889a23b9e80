"""The lines of INFO that list modules."""

from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.parse.info import parse_modules


def test_every_line_is_a_module_with_its_pairs() -> None:
    text = (
        "# Modules\r\nmodule:name=a,ver=1,usedby=[b|c],using=[]\r\nmodule:name=b,ver=2\r\n\r\n# Other\r\nx:module:1\r\n"
    )
    assert parse_modules(text) == [
        {"name": "a", "ver": "1", "usedby": "[b|c]", "using": "[]"},
        {"name": "b", "ver": "2"},
    ]


def test_list_may_contain_commas() -> None:
    assert parse_modules("module:name=a,using=[b,name=c],ver=1") == [{"name": "a", "using": "[b,name=c]", "ver": "1"}]


def test_parts_that_are_not_pairs_are_skipped() -> None:
    assert parse_modules("module:,,=1,Name=2,my-name=3,name=,ver=[1") == [{"name": "", "ver": "[1"}]


@given(st.text())
def test_any_text_raises_nothing(text: str) -> None:
    assert all(isinstance(pairs, dict) for pairs in parse_modules(f"module:{text}"))
