"""Whoever reports a fault can say in one paste what they run."""

import platform
import sys

import pytest

from exporter import __version__, versions


def test_it_names_us_python_and_every_library() -> None:
    said = versions.text().splitlines()
    assert said[:2] == [f"redis-pulse {__version__}", f"Python {platform.python_version()}"]
    assert [line.split()[0] for line in said[2:]] == list(versions.LIBRARIES)
    assert all(len(line.split()) == 2 for line in said)


def test_in_short_it_is_one_line() -> None:
    assert versions.line() == f"redis-pulse {__version__}"


def test_a_library_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "LIBRARIES", ("redis", "no-such-library"))
    assert [line.split()[0] for line in versions.text().splitlines()[2:]] == ["redis"]
    assert "no-such-library" not in sys.modules
