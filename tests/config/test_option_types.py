"""Types of the options of collectors: keys, regular expressions and scripts."""

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


class Example(Options):
    keys: KeyPatterns = ()
    regexes: RegexList = ()
    scripts: ScriptPaths = ()


@pytest.mark.parametrize(
    ("written", "parsed"),
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
def test_key_may_have_a_database(written: Any, parsed: list[tuple[int, str]]) -> None:
    assert list(Example(keys=written).keys) == parsed


@pytest.mark.parametrize("written", [7, [None], [{"db": -1, "key": "k"}], [{"db": True, "key": "k"}], [{"key": ""}]])
def test_value_that_is_not_a_key_is_rejected(written: Any) -> None:
    with pytest.raises(ValidationError, match="must be a list of keys or patterns"):
        Example(keys=written)


def test_key_without_special_character_is_not_a_pattern() -> None:
    assert [DatabaseKey(0, key).is_pattern for key in ("a:b", "a:*", "a?", "[ab]", "a\\*")] == [
        False,
        True,
        True,
        True,
        True,
    ]


def test_regex_that_does_not_compile_is_rejected() -> None:
    assert Example(regexes="^(a)").regexes == ("^(a)",)
    with pytest.raises(ValidationError, match="has an invalid regular expression at position 2: missing"):
        Example(regexes=["a", "(b"])
    with pytest.raises(ValidationError, match="must be a list of regular expressions"):
        Example(regexes=[1])


def test_script_must_exist_and_be_text(tmp_path: Path) -> None:
    good, empty, binary, long = (tmp_path / name for name in ("good.lua", "empty.lua", "binary.lua", "long.lua"))
    good.write_text("return {}")
    empty.write_text("\n")
    binary.write_bytes(b"\xff")
    long.write_bytes(b"-" * ((1 << 20) + 1))
    assert Example(scripts=[str(good)]).scripts == (str(good),)
    assert Example(scripts=f"{good},{good}").scripts == (str(good), str(good))
    assert read_script(good) == "return {}"
    for file, message in (
        (empty, "an empty file at position 1"),
        (binary, "not UTF-8 text"),
        (long, "longer than a megabyte"),
        (tmp_path / "gone.lua", "cannot be read: No such file"),
        (tmp_path, "cannot be read: Is a directory"),
        (7, "must be a list of paths"),
    ):
        with pytest.raises(ValidationError, match=message):
            Example(scripts=[file])


def test_script_may_define_a_metric(tmp_path: Path) -> None:
    file = tmp_path / "a.lua"
    file.write_text("return {}")
    written = {"file": str(file), "metric": "shop_orders", "help": "Orders", "labels": ["queue", "state"]}
    (script,) = Example(scripts=[written]).scripts
    assert script == ScriptFile(str(file), "shop_orders", "gauge", "Orders.", ("queue", "state"))
    assert Example(scripts=[script]).scripts == (script,)
    assert Example(scripts=[{"file": str(file)}]).scripts == (str(file),)
    assert own_metrics({"files": [str(file), written, {"file": "x", "metric": "No"}]}) == [script]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"metric": "Shop-Orders"}, "an invalid name of a metric at position 1"),
        ({"metric": "a" * 101}, "an invalid name of a metric at position 1"),
        ({"metric": "shop_orders_total"}, "wrong ending"),
        ({"metric": "shop_orders", "type": "counter"}, "wrong ending"),
        ({"metric": "shop_orders_sum"}, "wrong ending"),
        ({"metric": "shop_orders", "type": "histogram"}, "neither gauge nor counter"),
        ({"metric": "shop_orders", "labels": "queue"}, "not a list of at most 10 names"),
        ({"metric": "shop_orders", "labels": ["target"]}, "an invalid or reserved name of a label"),
        ({"metric": "shop_orders", "labels": ["__name__"]}, "an invalid or reserved name of a label"),
        ({"metric": "shop_orders", "labels": ["a", "a"]}, "a label twice"),
        ({"metric": "shop_orders", "help": "a\nb"}, "not one line"),
        ({"metric": "shop_orders", "colour": "red"}, "colour at position 1, which is not a setting"),
        ({"help": "Orders."}, "help at position 1 without a metric"),
    ],
)
def test_metric_of_a_script_is_checked(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    file = tmp_path / "a.lua"
    file.write_text("return {}")
    with pytest.raises(ValidationError, match=message):
        Example(scripts=[{"file": str(file), **more}])


def test_two_scripts_with_one_metric_must_define_it_equally(tmp_path: Path) -> None:
    file = tmp_path / "a.lua"
    file.write_text("return {}")
    script = {"file": str(file), "metric": "shop_orders"}
    assert len(Example(scripts=[script, script]).scripts) == 2
    with pytest.raises(ValidationError, match="gives the metric shop_orders twice"):
        Example(scripts=[script, {**script, "labels": ["queue"]}])
