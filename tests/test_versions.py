"""``--version --verbose`` prints all versions that a bug report needs."""

import platform
import sys

import pytest

from redis_pulse import __version__, versions


def test_text_has_redis_pulse_python_and_every_library() -> None:
    lines = versions.version_text().splitlines()
    assert lines[:2] == [f"redis-pulse {__version__}", f"Python {platform.python_version()}"]
    assert [line.split()[0] for line in lines[2:]] == list(versions.LIBRARIES)
    assert all(len(line.split()) == 2 for line in lines)


def test_version_line_has_only_redis_pulse() -> None:
    assert versions.version_line() == f"redis-pulse {__version__}"


def test_missing_library_is_omitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "LIBRARIES", ("redis", "no-such-library"))
    assert [line.split()[0] for line in versions.version_text().splitlines()[2:]] == ["redis"]
    assert "no-such-library" not in sys.modules
