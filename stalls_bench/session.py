"""All lanes and the daemon of one run: makes every stall of a plan, or only watches a quiet time."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self

from stalls_bench import cable, own, slow_calls
from stalls_bench.daemon import Daemon
from stalls_bench.kinds import LaneName
from stalls_bench.lane import Lane, Row, was_met
from stalls_bench.plan import Step
from stalls_bench.server import Software

Plans = Mapping[Software, Mapping[LaneName, Sequence[Step]]]
#: Seconds for the first pings and snapshots.
_WARM_UP = 4.0
#: Seconds between two snapshots of a quiet time.
_SNAPSHOT_EVERY = 20.0


class Session:
    """Servers, loads and the daemon, from ``with`` until its end."""

    def __init__(self, folder: Path, lanes: Sequence[tuple[Software, LaneName]]) -> None:
        library = slow_calls.build(folder)
        self._lanes = [Lane(software, name, folder, library) for software, name in lanes]
        self._folder = folder
        self.daemon = Daemon(folder, {lane.target: lane.url for lane in self._lanes})

    def __enter__(self) -> Self:
        if any(lane.name == "net" for lane in self._lanes):
            cable.delete_leftovers()
        try:
            for lane in self._lanes:
                lane.open()
            self.daemon.start()
        except BaseException:
            self.__exit__()
            raise
        time.sleep(_WARM_UP)
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.stop()
        for lane in self._lanes:
            lane.close()

    def make(self, plans: Plans, seed: int, until: float, own_times: int) -> Iterator[Row]:
        """Yield a row for each stall when it has ended. No stall begins after ``until`` (monotonic seconds)."""
        done: SimpleQueue[Row | BaseException | None] = SimpleQueue()
        core = threading.Lock()
        over = threading.Event()

        def is_over() -> bool:
            return over.is_set() or time.monotonic() > until

        def work(lane: Lane) -> None:
            try:
                for row in lane.make(plans[lane.software][lane.name], self.daemon, seed, core, is_over):
                    done.put(row)
                done.put(None)
            except BaseException as error:  # noqa: BLE001 - the main thread raises it
                done.put(error)

        # A server that a lane restarted lives as long as its thread. So the threads stay until the end.
        with ThreadPoolExecutor(len(self._lanes)) as pool:
            for lane in self._lanes:
                pool.submit(work, lane)
            try:
                for _ in self._lanes:
                    while (row := done.get()) is not None:
                        if isinstance(row, BaseException):
                            raise row
                        yield row
                yield from own.make(self.daemon, seed, own_times)
            finally:
                over.set()

    def rates(self) -> list[int]:
        """Return the commands per second of each load."""
        return [round(lane.rate(2.0)) for lane in self._lanes]

    def watch(self, seconds: float) -> list[dict[str, Any]]:
        """Let the load run, save small snapshots, and return the stalls that the daemon found."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for lane in self._lanes:
                lane.server.run("BGSAVE")
            time.sleep(min(_SNAPSHOT_EVERY, max(0.0, end - time.monotonic())))
        return [record for record in self.daemon.records() if was_met(record)]
