from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from redis_pulse.config import Options
from redis_pulse.config.option_types import (
    DatabaseKey,
    KeyPatterns,
    RegexList,
    ScriptFile,
    ScriptPaths,
    own_metrics,
    read_script,
)


class Told(Options):
    keys: KeyPatterns = ()
    regexes: RegexList = ()
    scripts: ScriptPaths = ()


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
    assert [DatabaseKey(0, key).is_pattern for key in ("a:b", "a:*", "a?", "[ab]", "a\\*")] == [
        False,
        True,
        True,
        True,
        True,
    ]


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


def test_a_script_may_have_a_metric_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "a.lua"
    file.write_text("return {}")
    said = {"file": str(file), "metric": "shop_orders", "help": "Orders", "labels": ["queue", "state"]}
    (script,) = Told(scripts=[said]).scripts
    assert script == ScriptFile(str(file), "shop_orders", "gauge", "Orders.", ("queue", "state"))
    assert Told(scripts=[script]).scripts == (script,)
    assert Told(scripts=[{"file": str(file)}]).scripts == (str(file),)
    assert own_metrics({"files": [str(file), said, {"file": "x", "metric": "No"}]}) == [script]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"metric": "Shop-Orders"}, "a metric at place 1 that is no name"),
        ({"metric": "a" * 101}, "a metric at place 1 that is no name"),
        ({"metric": "shop_orders_total"}, "wrong ending"),
        ({"metric": "shop_orders", "type": "counter"}, "wrong ending"),
        ({"metric": "shop_orders_sum"}, "wrong ending"),
        ({"metric": "shop_orders", "type": "histogram"}, "neither gauge nor counter"),
        ({"metric": "shop_orders", "labels": "queue"}, "no list of at most 10 names"),
        ({"metric": "shop_orders", "labels": ["target"]}, "no name of a label"),
        ({"metric": "shop_orders", "labels": ["__name__"]}, "no name of a label"),
        ({"metric": "shop_orders", "labels": ["a", "a"]}, "a label twice"),
        ({"metric": "shop_orders", "help": "a\nb"}, "not one line"),
        ({"metric": "shop_orders", "colour": "red"}, "colour at place 1, which is no setting"),
        ({"help": "Orders."}, "help at place 1 without a metric"),
    ],
)
def test_a_metric_of_a_script_is_checked(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    file = tmp_path / "a.lua"
    file.write_text("return {}")
    with pytest.raises(ValidationError, match=message):
        Told(scripts=[{"file": str(file), **more}])


def test_two_scripts_that_give_one_metric_agree_on_what_it_is(tmp_path: Path) -> None:
    file = tmp_path / "a.lua"
    file.write_text("return {}")
    one = {"file": str(file), "metric": "shop_orders"}
    assert len(Told(scripts=[one, one]).scripts) == 2
    with pytest.raises(ValidationError, match="gives the metric shop_orders twice"):
        Told(scripts=[one, {**one, "labels": ["queue"]}])
