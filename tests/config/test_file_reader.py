"""Every bad configuration is a file, and what a person is told about it stands at its top."""

import argparse
import traceback
from pathlib import Path

import pytest

from redis_pulse.cli import _check_collector
from redis_pulse.config import ConfigError, load

HERE = Path(__file__).parent
BAD = sorted(file.name for file in HERE.glob("bad-*"))
SECRETS = ("hunter2", "8675309")


def refused(file: str, directory: Path = HERE) -> ConfigError:
    """Load a bad file as a user would; return the refusal."""
    with pytest.raises(ConfigError) as caught:
        load(argparse.Namespace(config=file), {}, directory, check_collectors=_check_collector)
    return caught.value


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_exactly_what_it_expects(name: str) -> None:
    lines = (HERE / name).read_text().splitlines()
    expected = [line.removeprefix("# expect: ") for line in lines if line.startswith("# expect: ")]
    said = str(refused(name)).splitlines()
    unmet = [wanted for wanted in expected if not any(line.startswith(wanted) for line in said)]
    assert expected, "a bad file says at its top what is expected"
    assert not unmet, "\n".join(said)
    assert len(said) == len(expected), "\n".join(said)


@pytest.mark.parametrize("name", BAD)
def test_a_refusal_holds_no_secret_wherever_one_looks(name: str) -> None:
    error = refused(name)
    everything = [str(error), repr(error), repr(error.args), repr(error.problems), *traceback.format_exception(error)]
    for secret in SECRETS:
        assert not any(secret in text for text in everything)


@pytest.mark.parametrize("name", ["good-contract.yaml", "good-everything.toml", "good-merge-keys.yaml"])
def test_a_good_file_loads_without_a_warning(name: str) -> None:
    loaded = load(argparse.Namespace(config=name), {}, HERE, check_collectors=_check_collector)
    assert len(loaded.targets) + len(loaded.sources) == {"good-contract.yaml": 4}.get(name, 2)
    assert loaded.warnings == ()
    assert "hunter2" not in repr(loaded)


def test_a_file_that_is_not_there_is_named_as_the_user_named_it(tmp_path: Path) -> None:
    assert str(refused("nope.yaml", tmp_path)) == "nope.yaml does not exist (see --config and REDIS_PULSE_CONFIG)"


def test_a_folder_is_no_configuration_file(tmp_path: Path) -> None:
    assert str(refused(".", tmp_path)) == ". is a directory, not a file"


def test_a_path_through_a_file_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert str(refused("file/x.yaml", tmp_path)) == "file/x.yaml cannot be read: Not a directory"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "c.yaml is empty"),
        (b"listen: a\nname: \xff\n", "c.yaml:2 is not UTF-8 text"),
        (b'listen: "\x01"\n', "c.yaml is not valid YAML: unreadable character"),
        (b"? [a, b]\n: c\n", "c.yaml:1 has a key that is not text"),
        (b"listen: !!binary aGk=\n", "c.yaml:1: listen has a tag"),
    ],
)
def test_bytes_that_are_no_configuration_are_refused(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "c.yaml").write_bytes(content)
    assert str(refused("c.yaml", tmp_path)).startswith(told)


def test_a_file_that_explodes_on_reading_is_refused_quickly(tmp_path: Path) -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (tmp_path / "c.yaml").write_text("\n".join(rows))
    assert "too many of them" in str(refused("c.yaml", tmp_path))


def test_nesting_deeper_than_any_configuration_is_refused(tmp_path: Path) -> None:
    """The parser in C would take the whole process down with it."""
    for text in ("a: " + "[" * 300_000, "- " * 300_000):
        (tmp_path / "c.yaml").write_text(text)
        assert "nests too deep" in str(refused("c.yaml", tmp_path))


def test_toml_that_no_parser_can_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("a = " + "[" * 5000)
    assert str(refused("c.toml", tmp_path)).startswith("c.toml")
