"""Programs that print a login: what is accepted, what is refused, and that nothing they print is shown."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from redis_pulse.tokens import RenewalError, Token
from redis_pulse.tokens.program import MAX_OUTPUT, parse_output, parse_time, read_output, run_program
from tests.patience import Patience

SECRET = "hunter2-hunter2"


def python(code: str) -> list[str]:
    """Return a program that runs some Python, without the modules that slow its start."""
    return [sys.executable, "-I", "-S", "-c", code]


@pytest.mark.parametrize(
    ("output", "token"),
    [
        (b"hunter2\n", Token("hunter2")),
        (b"with blanks in it", Token("with blanks in it")),
        (b'{"password": "p"}', Token("p")),
        (b' {"username": "me", "password": "p", "other": 1}\r\n', Token("p", "me")),
        (b'{"password": "p", "username": null, "expires_at": null}', Token("p")),
        (b'{"password": "p", "expires_at": 1735689600}', Token("p", None, 1735689600.0)),
        (b'{"password": "p", "expires_at": 1735689600.5}', Token("p", None, 1735689600.5)),
        (b'{"password": "p", "expires_at": "1735689600"}', Token("p", None, 1735689600.0)),
        (b'{"password": "p", "expires_at": "2025-01-01T00:00:00Z"}', Token("p", None, 1735689600.0)),
        (
            b'{"password": "p", "expires_at": "2025-01-01T01:00:00.123456789+01:00"}',
            Token("p", None, 1735689600.123456),
        ),
    ],
)
def test_output_is_a_password_or_json(output: bytes, token: Token) -> None:
    assert parse_output(output) == token


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (b"", "prints nothing"),
        (b"\n\n", "prints nothing"),
        (b"two\nlines", "neither JSON nor a password in one line"),
        (b"\xff\xfe", "not UTF-8"),
        (b"{", "JSON that cannot be parsed"),
        (b'{"password": "hunter2"', "JSON that cannot be parsed"),
        (b'{"a":' + b"[" * 50_000, "JSON that cannot be parsed"),
        (b"{}", "no text in password"),
        (b'{"password": 7}', "no text in password"),
        (b'{"password": ""}', "no text in password"),
        (b'{"password": "\\ud800"}', "no text in password"),
        (b'{"password": "p", "username": []}', "no text in username"),
        (b'{"password": "p", "expires_at": true}', "neither Unix seconds nor RFC 3339"),
        (b'{"password": "p", "expires_at": -1}', "neither Unix seconds nor RFC 3339"),
        (b'{"password": "p", "expires_at": NaN}', "neither Unix seconds nor RFC 3339"),
        (b'{"password": "p", "expires_at": 1735689600000}', "neither Unix seconds nor RFC 3339"),
        (b'{"password": "p", "expires_at": "soon"}', "neither Unix seconds nor RFC 3339"),
        (b'{"password": "p", "expires_at": "2025-01-01T00:00:00"}', "neither Unix seconds nor RFC 3339"),
    ],
)
def test_unusable_output_has_a_reason_and_is_not_shown(output: bytes, message: str) -> None:
    with pytest.raises(RenewalError, match=message) as raised:
        parse_output(output)
    assert raised.value.reason == "output"
    assert "hunter2" not in str(raised.value)


def test_time_of_any_json_value_is_a_number_or_an_error() -> None:
    values: list[Any] = [None, 0, 1e300, float("inf"), [], {}, "", "9" * 25, "0001-01-01T00:00:00+00:00"]
    for value in values:
        try:
            found = parse_time(value)
        except RenewalError:
            continue
        assert found is None or found >= 0


def test_program_gets_no_input_and_its_words_unchanged() -> None:
    code = "import json, sys; print(json.dumps({'password': sys.argv[1] + sys.stdin.read()}))"
    assert run_program([*python(code), "$HOME; *"], 10) == Token("$HOME; *")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["/does/not/exist"], "cannot be started: No such file or directory"),
        ([str(Path(__file__).parent)], "cannot be started: Permission denied"),
        (python("import sys; sys.exit(1)"), "failed with exit code 1"),
        (python("import os; os.kill(os.getpid(), 9)"), "failed with signal 9"),
    ],
)
def test_program_that_fails_has_a_reason(words: list[str], message: str) -> None:
    with pytest.raises(RenewalError, match=message) as raised:
        run_program(words, 60)
    assert raised.value.reason == "program"


def test_output_and_errors_are_shown_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    code = f"import sys; print({SECRET!r}); print({SECRET!r}, file=sys.stderr); sys.exit(1)"
    with pytest.raises(RenewalError) as raised:
        run_program(python(code), 60)
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None
    assert SECRET not in "".join(capfd.readouterr())


def test_endless_output_ends_at_the_limit() -> None:
    """10 MB are never held, and the program does not run on."""
    with pytest.raises(RenewalError, match=f"more than {MAX_OUTPUT} bytes") as raised:
        read_output(python("import sys\nwhile True: sys.stdout.write('x' * 100_000)"), 30)
    assert raised.value.reason == "output"


@pytest.mark.parametrize("after", ["", "os.close(1)\n"])
def test_hanging_program_is_killed_with_its_children(tmp_path: Path, after: str) -> None:
    """Also a program that has closed its output."""
    pids = tmp_path / "pids"
    code = (
        "import json, os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        f"if child:\n    open({str(pids)!r}, 'w').write(json.dumps([os.getpid(), child]))\n"
        f"{after}"
        "time.sleep(600)\n"
    )
    for within in (3, 30, 300):  # on a busy machine the program may need longer to start its child
        with pytest.raises(RenewalError, match="did not end within") as raised:
            read_output(python(code), within)
        assert raised.value.reason == "timeout"
        if pids.exists():
            break
    patience = Patience(10)
    while any(is_running(pid) for pid in json.loads(pids.read_text())):
        assert not patience.is_over
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_program_is_no_zombie_afterwards() -> None:
    pid = run_program(python("import os; print(os.getpid())"), 10).password
    assert not Path(f"/proc/{pid}").exists()


def test_program_ends_with_the_daemon(tmp_path: Path) -> None:
    """Its thread is not waited for. A program that hung lived on after the daemon."""
    file = tmp_path / "pid"
    hangs = f"import os, time, pathlib; pathlib.Path({str(file)!r}).write_text(str(os.getpid())); time.sleep(600)"
    daemon = (
        "import pathlib, sys, threading, time\n"
        "from redis_pulse.tokens.program import read_output\n"
        "threading.Thread(target=read_output, args=(sys.argv[2:], 600), daemon=True).start()\n"
        "while not pathlib.Path(sys.argv[1]).exists() or not pathlib.Path(sys.argv[1]).read_text(): time.sleep(0.01)\n"
    )
    subprocess.run([sys.executable, "-c", daemon, file, *python(hangs)], check=True, timeout=120)
    patience = Patience(10)
    while is_running(int(file.read_text())):
        assert not patience.is_over
        time.sleep(0.01)
