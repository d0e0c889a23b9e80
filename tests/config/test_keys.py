from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from exporter.config.keys import KeyAt, Keys, Options, Regexes, Scripts, read_script


class Told(Options):
    keys: Keys = ()
    regexes: Regexes = ()
    scripts: Scripts = ()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("user:*", [(0, "user:*")]),
        ("db3=user:*", [(3, "user:*")]),
        ("3=user:*, plain", [(3, "user:*"), (0, "plain")]),
        (["a", "db1=a", "a"], [(0, "a"), (1, "a")]),
        ([{"db": 2, "pattern": "1=x*"}, {"key": "k"}], [(2, "1=x*"), (0, "k")]),
        ({"db": 1, "key": "k"}, [(1, "k")]),
        ("", []),
        ([], []),
    ],
)
def test_a_key_is_written_with_or_without_its_database(written: Any, read: list[tuple[int, str]]) -> None:
    assert list(Told(keys=written).keys) == read


@pytest.mark.parametrize("written", [7, [None], [{"db": -1, "key": "k"}], [{"db": True, "key": "k"}], [{"key": ""}]])
def test_what_is_no_key_is_refused(written: Any) -> None:
    with pytest.raises(ValidationError, match="must be a list of keys or patterns"):
        Told(keys=written)


def test_a_key_without_a_special_character_is_no_pattern() -> None:
    assert [KeyAt(0, key).is_pattern for key in ("a:b", "a:*", "a?", "[ab]", "a\\*")] == [False, True, True, True, True]


def test_a_regex_that_does_not_compile_is_refused() -> None:
    assert Told(regexes="^(a)").regexes == ("^(a)",)
    with pytest.raises(ValidationError, match="is no regular expression at place 2: missing"):
        Told(regexes=["a", "(b"])
    with pytest.raises(ValidationError, match="must be a list of regular expressions"):
        Told(regexes=[1])


def test_a_script_must_be_there_and_hold_text(tmp_path: Path) -> None:
    good, empty, binary, long = (tmp_path / name for name in ("good.lua", "empty.lua", "binary.lua", "long.lua"))
    good.write_text("return {}")
    empty.write_text("\n")
    binary.write_bytes(b"\xff")
    long.write_bytes(b"-" * ((1 << 20) + 1))
    assert Told(scripts=[str(good)]).scripts == (str(good),)
    assert Told(scripts=f"{good},{good}").scripts == (str(good), str(good))
    assert read_script(good) == "return {}"
    for file, message in (
        (empty, "an empty file at place 1"),
        (binary, "not UTF-8 text"),
        (long, "longer than a megabyte"),
        (tmp_path / "gone.lua", "cannot be read: No such file"),
        (tmp_path, "cannot be read: Is a directory"),
        (7, "must be a list of paths"),
    ):
        with pytest.raises(ValidationError, match=message):
            Told(scripts=[file])
