"""Run a program that prints a login: without a shell, with a deadline and a limit of its output.

Nothing that the program prints is shown or logged. Its standard error goes nowhere. The program and its children are in
a process group of their own. They are killed at the deadline, and when the daemon ends.
"""

import atexit
import json
import os
import select
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from redis_pulse.tokens.model import RenewalError, Token

#: Bytes. A token of 64 KB would be larger than a server accepts in one line of its log.
MAX_OUTPUT = 65536
#: Unix time of the year 10000. A larger number is in milliseconds.
_MAX_TIME = 253_402_300_800
_READ_BYTES = 16384
_running: set["subprocess.Popen[bytes]"] = set()


def run_program(words: Sequence[str], within: float) -> Token:
    """Return the login that a program prints. Raises RenewalError. Blocks for at most ``within`` seconds."""
    return parse_output(read_output(words, within))


def read_output(words: Sequence[str], within: float) -> bytes:
    """Return what a program prints. Raises RenewalError if it fails, hangs, or prints too much."""
    deadline = monotonic() + within
    try:
        process = subprocess.Popen(  # noqa: S603  # the words are settings, and no shell reads them
            list(words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        text = getattr(error, "strerror", None) or "its name is not valid"
        raise RenewalError("program", f"the program cannot be started: {text}") from None
    with process:
        _running.add(process)
        try:
            assert process.stdout is not None  # noqa: S101
            data = _read(process.stdout.fileno(), deadline, within)
            code = process.wait(max(0.0, deadline - monotonic()))
        except subprocess.TimeoutExpired:
            _kill(process)
            raise _too_slow(within) from None
        except BaseException:
            _kill(process)
            raise
        finally:
            _running.discard(process)
    if code:
        how = f"exit code {code}" if code > 0 else f"signal {-code}"
        raise RenewalError("program", f"the program failed with {how}")
    return data


def _read(handle: int, deadline: float, within: float) -> bytes:
    """Return everything until the end of the output. Raises RenewalError at the deadline, or if it is too long."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    data = b""
    while True:
        left = deadline - monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise _too_slow(within)
        part = os.read(handle, _READ_BYTES)
        if not part:
            return data
        data += part
        if len(data) > MAX_OUTPUT:
            raise RenewalError("output", f"the program prints more than {MAX_OUTPUT} bytes")


def _too_slow(within: float) -> RenewalError:
    return RenewalError("timeout", f"the program did not end within {within:g} s")


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a program that was not waited for, and its process group. Its number cannot belong to another one yet."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()


@atexit.register
def _kill_running() -> None:
    """Kill the programs that still run. Their threads do not delay the end of the daemon."""
    for process in tuple(_running):
        _kill(process)


def parse_output(data: bytes) -> Token:
    """Return the login in an output: a JSON object, or a bare password in one line. Raises RenewalError."""
    try:
        text = data.decode("utf-8").strip("\r\n")
    except UnicodeDecodeError:
        raise RenewalError("output", "the program prints something that is not UTF-8 text") from None
    if text.lstrip().startswith("{"):
        return _parse_json(text)
    if not text:
        raise RenewalError("output", "the program prints nothing")
    if not text.isprintable():
        raise RenewalError("output", "the program prints neither JSON nor a password in one line")
    return Token(text)


def _parse_json(text: str) -> Token:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise RenewalError("output", "the program prints JSON that cannot be parsed") from None
    password, username = content.get("password"), content.get("username")
    if not _is_text(password):
        raise RenewalError("output", "the JSON of the program has no text in password")
    if username is not None and not _is_text(username):
        raise RenewalError("output", "the JSON of the program has no text in username")
    return Token(password, username, parse_time(content.get("expires_at")))


def _is_text(value: Any) -> bool:
    if not isinstance(value, str) or not value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def parse_time(value: Any) -> float | None:
    """Return the Unix time of an ``expires_at``: Unix seconds, or a text as in RFC 3339. Raises RenewalError."""
    if value is None:
        return None
    if isinstance(value, str):
        with suppress(ValueError):
            value = float(value) if value.isdecimal() and len(value) < 20 else _parse_date(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value < _MAX_TIME:
        raise RenewalError("output", "the JSON has an expires_at that is neither Unix seconds nor RFC 3339")
    return float(value)


def _parse_date(text: str) -> float:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment.astimezone(UTC).timestamp()
