"""The delay of a process is read while it runs, and kept when it ends."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from attack.machine import DelayOf, longest_delay, own_delays, run_delays

pytestmark = pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the kernel does not count delays")


def test_unknown_process_has_no_delay() -> None:
    assert run_delays("0") == {}
    with DelayOf(2**22 + 1) as delay:
        pass
    assert delay.seconds >= 0.0


def test_delay_is_less_than_the_elapsed_time() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.2)"])
    began = time.monotonic()
    with DelayOf(process.pid) as delay:
        process.wait()
    assert 0.0 <= delay.seconds <= time.monotonic() - began + 0.1


def test_time_in_which_two_threads_waited_counts_once() -> None:
    assert longest_delay({"1": 2.0, "2": 5.0}, {"1": 2.3, "2": 5.2, "3": 0.1}) == pytest.approx(0.3)
    assert longest_delay({"1": 2.0}, {}) == 0.0


def test_every_thread_of_a_process_is_read() -> None:
    assert own_delays().keys() <= run_delays("self").keys()
