"""The command as a whole: real processes, real sockets, and what it prints."""

import json
import sys

import pytest

from redis_pulse import calibrate
from redis_pulse.calibrate import command
from redis_pulse.cli import main

# With threads, which other tests may leave, Python 3.12 warns of a fork. The command itself has none at that moment.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def test_ten_lines_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", "--seconds", "0.3", "--targets", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("2 targets, 0 s: pings to a server of this program")
    assert lines[8].startswith("pings: 6 due, ")


def test_error_is_small_and_known_for_every_length(capsys: pytest.CaptureFixture[str]) -> None:
    """The bound is generous, because the machine may be busy. An error of the method would be a held-back time."""
    assert main(["calibrate", "--seconds", "0.6", "--targets", "4", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    pings, timed = content["pings"], content["timed_by_kernel_ratio"]
    assert pings["due"] == 24
    assert pings["due"] == pings["answered"] + sum(pings["failed"].values()) + pings["skipped"]
    assert len(content["error_by_held_back_seconds"]) > 1
    if not sys.platform.startswith("linux") or min(timed.values()) < 1:
        pytest.skip(f"this kernel gives no timestamps: {timed}")
    assert content["error_seconds"]["p50"] < 0.0005
    assert content["error_seconds"]["p50"] < content["error_without_kernel_timestamps_seconds"]["p50"]
    assert pings["uncertain_sends"] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seconds", "0"], "--seconds must be above 0"),
        (["--seconds", "nan"], "--seconds must be above 0"),
        (["--seconds", "601"], "at most 600"),
        (["--targets", "0"], "--targets must be between 1 and 2000"),
        (["--targets", "2001"], "--targets must be between"),
        (["--seconds", "x"], "argument --seconds: invalid float value"),
        (["redis://:secret@host"], "unrecognized arguments"),
    ],
)
def test_wrong_arguments_are_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_error:
        calibrate.run(words)
    error = capsys.readouterr().err
    assert exit_error.value.code == 2
    assert message in error
    assert "secret" not in error


def test_server_that_cannot_start_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_sockets(_count: int) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(command, "echo_process", no_sockets)
    assert calibrate.run(["--seconds", "0.1"]) == 1
    assert capsys.readouterr().err == "redis-pulse calibrate: [Errno 24] Too many open files\n"
