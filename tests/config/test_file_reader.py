"""Each file ``bad-*`` is a bad configuration. The messages that it must cause are at its top."""

import argparse
import traceback
from pathlib import Path

import pytest

from redis_pulse.cli import _check_collector
from redis_pulse.config import ConfigError, load
from redis_pulse.config.file_reader import read_file

HERE = Path(__file__).parent
BAD = sorted(file.name for file in HERE.glob("bad-*"))
SECRETS = ("hunter2", "8675309")


def config_error(file: str, directory: Path = HERE) -> ConfigError:
    """Load a bad file as a user would, and return the error."""
    with pytest.raises(ConfigError) as caught:
        load(argparse.Namespace(config=file), {}, directory, check_collectors=_check_collector)
    return caught.value


@pytest.mark.parametrize("name", BAD)
def test_bad_file_causes_exactly_the_expected_messages(name: str) -> None:
    lines = (HERE / name).read_text().splitlines()
    expected = [line.removeprefix("# expect: ") for line in lines if line.startswith("# expect: ")]
    messages = str(config_error(name)).splitlines()
    missing = [start for start in expected if not any(message.startswith(start) for message in messages)]
    assert expected, "a bad file must have comments that begin with expect:"
    assert not missing, "\n".join(messages)
    assert len(messages) == len(expected), "\n".join(messages)


@pytest.mark.parametrize("name", BAD)
def test_no_part_of_the_error_contains_a_secret(name: str) -> None:
    error = config_error(name)
    texts = [str(error), repr(error), repr(error.args), repr(error.problems), *traceback.format_exception(error)]
    for secret in SECRETS:
        assert not any(secret in text for text in texts)


@pytest.mark.parametrize("name", ["good-contract.yaml", "good-everything.toml", "good-merge-keys.yaml"])
def test_good_file_loads_without_a_warning(name: str) -> None:
    loaded = load(argparse.Namespace(config=name), {}, HERE, check_collectors=_check_collector)
    assert len(loaded.targets) + len(loaded.sources) == {"good-contract.yaml": 4}.get(name, 2)
    assert loaded.warnings == ()
    assert "hunter2" not in repr(loaded)


def test_missing_file_is_named_as_the_user_wrote_it(tmp_path: Path) -> None:
    assert str(config_error("nope.yaml", tmp_path)) == "nope.yaml does not exist (see --config and REDIS_PULSE_CONFIG)"


def test_directory_is_rejected(tmp_path: Path) -> None:
    assert str(config_error(".", tmp_path)) == ". is a directory, not a file"


def test_path_through_a_file_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert str(config_error("file/x.yaml", tmp_path)) == "file/x.yaml cannot be read: Not a directory"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "c.yaml is empty"),
        (b"listen: a\nname: \xff\n", "c.yaml:2 is not UTF-8 text"),
        (b'listen: "\x01"\n', "c.yaml is not valid YAML: unreadable character"),
        (b"? [a, b]\n: c\n", "c.yaml:1 has a key that is not text"),
        (b"listen: !!binary aGk=\n", "c.yaml:1: listen has a tag"),
    ],
)
def test_content_that_is_not_a_configuration_is_rejected(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "c.yaml").write_bytes(content)
    assert str(config_error("c.yaml", tmp_path)).startswith(message)


def test_exponential_aliases_are_rejected_quickly(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (tmp_path / "c.yaml").write_text("\n".join(lines))
    assert "too many aliases" in str(config_error("c.yaml", tmp_path))


def test_deep_nesting_is_rejected(tmp_path: Path) -> None:
    """It would crash the parser in C, and the process with it."""
    for text in ("a: " + "[" * 300_000, "- " * 300_000):
        (tmp_path / "c.yaml").write_text(text)
        assert "nested too deep" in str(config_error("c.yaml", tmp_path))


def test_deeply_nested_toml_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("a = " + "[" * 5000)
    assert str(config_error("c.toml", tmp_path)).startswith("c.toml")


def test_toml_problem_in_a_nested_array_of_tables_has_its_line(tmp_path: Path) -> None:
    script = "[[targets.collectors.scripts.files]]\nfile = 'a.lua'\n"
    (tmp_path / "a.lua").write_text("return {}")
    (tmp_path / "c.toml").write_text(f"[[targets]]\nurl = 'a'\n{script}{script}[targets.probe]\ninterval = 'fast'\n")
    assert str(config_error("c.toml", tmp_path)).startswith("c.toml:8: targets[0].probe.interval must be a duration")
    source = read_file(tmp_path / "c.toml", shown="c.toml")
    files = ("targets", 0, "collectors", "scripts", "files")
    assert [source.locations[(*files, index, "file")] for index in (0, 1)] == ["c.toml:4", "c.toml:6"]
