"""What the commands share: no value of the command line is repeated, and odd terminals cause no error."""

import io
import os
import sys

import pytest

from redis_pulse.terminal import QuietParser, forget_stdout, write


def test_error_names_no_value(capsys: pytest.CaptureFixture[str]) -> None:
    parser = QuietParser(prog="it", allow_abbrev=False)
    with pytest.raises(SystemExit) as left:
        parser.parse_args(["redis://:secret@h"])
    assert left.value.code == 2
    text = capsys.readouterr().err
    assert text == "it: unrecognized arguments:\nTry it --help.\n"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--jsn"], "unrecognized arguments: --jsn"),
        (["--pass=s3cret", "x"], "unrecognized arguments: --pass"),
        (["-s3cret"], "unrecognized arguments:"),
        (["--s3cret"], "unrecognized arguments:"),
    ],
)
def test_unknown_option_is_named_without_its_value(
    words: list[str], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        QuietParser(prog="it", allow_abbrev=False).parse_args(words)
    assert capsys.readouterr().err.splitlines()[0] == f"it: {shown}"


def test_terminal_without_a_character_gets_a_question_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    write("1 ± 2\n")
    assert raw.getvalue() == b"1 ? 2\n"


def test_output_to_a_reader_that_is_gone_goes_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        forget_stdout()
        print("nobody reads it", flush=True)
