"""The thread of the event loop may be raised. Nothing else is, and a refusal is no error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from redis_pulse import priority
from redis_pulse.priority import NICE, niceness, raise_priority

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")

ROOT = Path(__file__).parents[1]
#: In a process of its own, because a raised priority cannot always be taken back.
SCRIPT = """
import os, subprocess, threading
from redis_pulse.priority import niceness, raise_priority
os.sched_setscheduler(0, os.{policy}, os.sched_param(0))
print(raise_priority(), niceness())
found = []
thread = threading.Thread(target=lambda: found.append(niceness()))
thread.start()
thread.join()
print(*found, subprocess.check_output(["nice"]).decode().strip())
"""


def run(policy: str = "SCHED_OTHER") -> list[list[int]]:
    command = [sys.executable, "-c", SCRIPT.format(policy=policy)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT / "exporter").stdout
    return [[int(word) for word in line.split()] for line in output.splitlines()]


def may_raise() -> bool:
    """Whether this process may have the niceness that is tried."""
    refusal = subprocess.run(["nice", "-n", str(NICE), "true"], capture_output=True, check=False).stderr
    return os.geteuid() == 0 and not refusal


@pytest.mark.skipif(not may_raise(), reason="needs CAP_SYS_NICE")
def test_only_the_thread_of_the_event_loop_is_raised() -> None:
    assert run() == [[NICE, NICE], [0, 0]]


def test_refusal_leaves_the_niceness_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    before = niceness()
    monkeypatch.setattr(priority, "_SCHED_SETATTR", {})

    def refuse(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse)
    assert raise_priority() == niceness() == before


def test_another_policy_is_left_alone() -> None:
    """Its owner has chosen it, for example ``CPUSchedulingPolicy`` of systemd."""
    niceness_of_programs = int(subprocess.check_output(["nice"]))
    assert run("SCHED_BATCH")[0] == [niceness_of_programs] * 2


def test_result_is_the_niceness_of_the_thread_with_and_without_permission() -> None:
    before = niceness()
    assert run()[0] in ([NICE, NICE], [before, before])
