"""A hostile server costs bounded memory and time, whatever it replies to a poll with all collectors."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from redis_pulse.text_format import MAX_LINE_BYTES
from tests.integration.daemon import ROOT
from tests.integration.hostile_poll import ATTACKS

#: It measures memory and time.
pytestmark = pytest.mark.alone
#: KB above normal: for bytes, and for many names.
BYTES_LIMIT, NAMES_LIMIT = 64 * 1024, 150 * 1024
#: Milliseconds of the processor for one callback of the event loop. The goal is 5 ms on an idle machine. A busy one
#: shares its caches and its cores. Then the limit is ``SLOW`` times what it takes to make 90 000 texts there.
LONGEST_MS, SLOW = 25, 2
_MAX_PAGE_BYTES = 2_000_000


def _start(what: str) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "exporter")))}
    command = [sys.executable, "-m", "tests.integration.hostile_poll", what]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=ROOT)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the process ended"
    return line


def _send(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


@pytest.fixture(scope="module")
def results() -> Iterator[dict[str, dict[str, Any]]]:
    """Run every attack, one after the other, against one process that polls."""
    found: dict[str, dict[str, Any]] = {}
    with _start("serve") as server, _start("poll") as poller:
        try:
            for _ in range(len(ATTACKS) + 1):
                _send(poller, _line(server))
                result = json.loads(_line(poller))
                found[result["name"]] = result
                _send(server, "next\n")
                print(result)
            yield found
        finally:
            server.kill()
            poller.kill()


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_server_costs_bounded_memory_and_time(attack: str, results: dict[str, dict[str, Any]]) -> None:
    result = results[attack]
    limit = NAMES_LIMIT if "000 " in attack else BYTES_LIMIT
    assert result["highest"] - result["before"] < limit
    assert result["longest_ms"] < max(LONGEST_MS, SLOW * result["reference_ms"]), result["where"]
    assert result["longest_line"] <= MAX_LINE_BYTES
    assert result["page"] < _MAX_PAGE_BYTES
    if attack in ("INFO of 1 GB", "INFO as 3 000 000 integers", "INFO as a list in lists"):
        assert "info: too_large" in result["runs"]
    if attack == "INFO as 90 000 integers":
        assert "info: protocol" in result["runs"]
