"""Stops the daemon itself, and reads which delays it reports: its own, and none of a target."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator

from stalls_bench.daemon import Daemon
from stalls_bench.injectors import Phase, duty
from stalls_bench.kinds import EXPORTER, OWN
from stalls_bench.lane import Row, last_moment, was_met

#: What these rows have in place of a server.
DAEMON = "daemon"
_PATIENCE = 3.0


def stop(pid: int, scale: float) -> None:
    """Stop a process."""
    os.kill(pid, signal.SIGSTOP)
    time.sleep(1.4 * scale)
    os.kill(pid, signal.SIGCONT)


def starve(pid: int, scale: float) -> None:
    """Let a process run for a tenth of the time."""
    duty(pid, 2.0 * scale)


_INJECT: dict[str, Callable[[int, float], None]] = {"own_stop": stop, "own_starve": starve}


def make(daemon: Daemon, seed: int, times: int) -> Iterator[Row]:
    """Stop and starve the daemon so often."""
    numbers = random.Random(f"{seed} own")
    for name in OWN * times:
        time.sleep(2.5 + numbers.random())
        seen = {record["id"] for record in daemon.records()}
        began = time.time()
        _INJECT[name](daemon.pid, numbers.uniform(0.9, 1.3))
        ended = time.time()
        time.sleep(_PATIENCE)
        new = [one for one in daemon.records() if one["id"] not in seen and last_moment(one) > began and was_met(one)]
        yield Row(DAEMON, name, seed, [Phase(EXPORTER, began, ended)], new, 0.0)


def named(record: dict[str, object]) -> str:
    """Return the cause of a record; one of a target is wrong here, whatever its cause."""
    return EXPORTER if record["target"] is None else f"{record['cause']} of a target"
