"""Whoever reports a fault can say in one paste what they run."""

import platform
import sys

import pytest

from redis_pulse import __version__, cli


def test_it_names_us_python_and_every_library() -> None:
    said = cli.version_text().splitlines()
    assert said[:2] == [f"redis-pulse {__version__}", f"Python {platform.python_version()}"]
    assert [line.split()[0] for line in said[2:]] == list(cli.LIBRARIES)
    assert all(len(line.split()) == 2 for line in said)


def test_in_short_it_is_one_line() -> None:
    assert cli.version_line() == f"redis-pulse {__version__}"


def test_a_library_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "LIBRARIES", ("redis", "no-such-library"))
    assert [line.split()[0] for line in cli.version_text().splitlines()[2:]] == ["redis"]
    assert "no-such-library" not in sys.modules
