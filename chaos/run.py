"""Run rounds of chaos, one seed each, and print a summary of the violations."""

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path

from chaos import network
from chaos.checker import Checker, Verdicts
from chaos.events import EVENTS, NotPossibleError
from chaos.plan import Burst, Plan, Step
from chaos.watch import DelayMeter, Watcher
from chaos.world import World

ROOT = Path(__file__).parents[1]
BURSTS = 5
#: Approximate seconds for the start of a round and for each burst. A round begins only if enough time is left.
START_SECONDS, BURST_SECONDS = 20.0, 25.0
#: Number of sources of targets: the Sentinels, the cluster, the files.
SOURCES = 3


class Round:
    """One seed: new servers, a new daemon, and bursts of events with a quiet period after each."""

    def __init__(self, seed: int, arguments: argparse.Namespace, folder: Path, verdicts: Verdicts) -> None:
        self.plan = Plan(seed)
        self._bursts, self._folder, self._verdicts = arguments.bursts, folder, verdicts
        self._delay_meter = DelayMeter()
        self._world = World(folder, self.plan.settings, arguments.checkout.resolve())
        self._watcher = Watcher(
            self._world.daemon, self._delay_meter, verdicts.add_violation, lambda: {*self._world.removals}
        )
        self._checker = Checker(self._world, self._watcher, self._delay_meter, verdicts)
        self.undo_log = UndoLog(self._begin_event)
        self.skipped_checks = 0

    def run(self) -> None:
        """Run the round, and stop all its processes at the end."""
        log = self._verdicts.log
        try:
            log(f"seed {self.plan.seed}: {self.plan.settings}")
            for subject, reason in self._world.unavailable.items():
                log(f"without {subject}: {reason}")
            self._world.start()
            self._watcher.start()
            self._record_daemon_start()
            self._check_quiet_period()
            generator = self.plan.bursts()
            for number in range(1, self._bursts + 1):
                self._run_burst(number, next(generator))
            self._stop_with_hung_servers()
        finally:
            self._watcher.stop()
            self._delay_meter.stop()
            page = self._watcher.last_page
            if page is not None:
                (self._folder / "page-last.txt").write_text(page.text)
            with contextlib.suppress(Exception):
                self.undo_log.undo_all()
            self._world.stop()

    def _stop_with_hung_servers(self) -> None:
        """Stop the daemon while some servers hang."""
        for name in self.plan.settings.hung_at_end:
            self._world.server_of(name).freeze()
        time.sleep(3)
        self._watcher.stop()
        self._checker.stop_daemon()

    def _run_burst(self, number: int, burst: Burst) -> None:
        log = self._verdicts.log
        log(f"burst {number} of seed {self.plan.seed}:")
        for step in burst.steps:
            log(f"    {step}")
        before = len(self._verdicts.violations)
        staying = self.undo_log.pending()
        began = time.monotonic()
        for moment in burst.moments():
            time.sleep(max(0.0, began + moment.at - time.monotonic()))
            if moment.undo:
                self.undo_log.end(moment.step)
            else:
                self.undo_log.begin(moment.step)
        for step in staying:
            self.undo_log.end(step)
        self._check_quiet_period()
        if len(self._verdicts.violations) > before and self._watcher.last_page is not None:
            (self._folder / f"page-{number}.txt").write_text(self._watcher.last_page.text)

    def _check_quiet_period(self) -> None:
        world = self._world
        try:
            self._checker.wait_for_servers()
        except TimeoutError as error:
            self._verdicts.log(f"note: check skipped, because the servers are not healthy: {error}")
            self.skipped_checks += 1
        else:
            world.removals.clear()
            self._checker.check()
        world.changes.clear()
        world.reloads = world.event_count = 0

    def _begin_event(self, step: Step) -> Generator[None, None, None]:
        if step.kind == "restart daemon":
            return self._restart_daemon()
        if step.subject in self._world.unavailable:
            raise NotPossibleError(f"this machine has no {step.subject}")
        return EVENTS[step.kind](self._world, step)

    def _restart_daemon(self) -> Generator[None, None, None]:
        with self._watcher.paused():
            self._checker.stop_daemon()
            self._world.daemon.start()
        self._record_daemon_start()
        self._checker.forget()
        yield

    def _record_daemon_start(self) -> None:
        """Record the start as two changes of every target, and as one event of every source of targets.

        The second change is for a busy machine: while everything starts, the first connection can miss its deadline.
        """
        targets = self._world.expected_targets()
        self._world.record_change(*targets)
        self._world.record_change(*targets)
        self._world.event_count += SOURCES


class UndoLog:
    """Begins events, and undoes each of them exactly once, even if another event fails."""

    def __init__(self, begin: Callable[[Step], Generator[None, None, None]]) -> None:
        self._begin = begin
        self._open: dict[Step, Generator[None, None, None]] = {}
        self.begun: list[Step] = []
        self.not_done: list[tuple[Step, str]] = []

    def begin(self, step: Step) -> None:
        """Begin an event, or record why it is impossible now."""
        try:
            event = self._begin(step)
            next(event)
        except (NotPossibleError, OSError, TimeoutError) as error:
            self.not_done.append((step, str(error)))
            return
        self.begun.append(step)
        self._open[step] = event

    def end(self, step: Step) -> None:
        """Undo an event, unless it was not begun or is already undone."""
        event = self._open.pop(step, None)
        if event is not None:
            next(event, None)

    def pending(self) -> list[Step]:
        """Return the events that are not undone yet."""
        return list(self._open)

    def undo_all(self) -> None:
        """Undo all remaining events."""
        for step in self.pending():
            with contextlib.suppress(Exception):
                self.end(step)


def main() -> int:
    """Run rounds until the time is over, and print a summary."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="the first seed; without --minutes, run only this round")
    parser.add_argument("--minutes", type=float, help="how long to run rounds; each has the next seed")
    parser.add_argument("--bursts", type=int, default=BURSTS, help="number of bursts in a round")
    parser.add_argument("--plan", action="store_true", help="only print the events")
    parser.add_argument("--checkout", type=Path, default=ROOT, help="run the daemon of another checkout")
    parser.add_argument("--keep", action="store_true", help="keep the files of rounds without violations")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else int(time.time())
    if arguments.plan:
        return _print_plan(seed, arguments.bursts)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # A background job of a shell ignores Ctrl-C by default.
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    network.delete_leftovers()
    folder = Path(tempfile.mkdtemp(prefix="redis-pulse-chaos-"))
    print(f"chaos: seed {seed}, files in {folder}", flush=True)
    ends = time.monotonic() + 60 * (arguments.minutes or 0)
    total: Counter[str] = Counter()
    violations_by_seed: dict[int, list[tuple[str, str]]] = {}
    while True:
        violations = _run_round(seed, arguments, folder / f"seed-{seed}", total)
        if violations:
            violations_by_seed[seed] = violations
        seed += 1
        if time.monotonic() + START_SECONDS + BURST_SECONDS * arguments.bursts > ends:
            break
    return _print_summary(total, violations_by_seed, folder, arguments.bursts)


def _run_round(seed: int, arguments: argparse.Namespace, folder: Path, total: Counter[str]) -> list[tuple[str, str]]:
    folder.mkdir()
    began = time.monotonic()
    with (folder / "events.log").open("w") as log_file:

        def log(text: str) -> None:
            line = f"{time.monotonic() - began:6.1f} {text}"
            print(line, flush=True)
            print(line, file=log_file, flush=True)

        verdicts = Verdicts(log)
        chaos_round = Round(seed, arguments, folder, verdicts)
        try:
            chaos_round.run()
        except Exception as error:  # noqa: BLE001  # the next round can still succeed
            log(f"HARNESS: the round ended early; this is not a fault of the daemon: {error!r}")
            (folder / "harness.txt").write_text(traceback.format_exc())
            total["rounds that ended early"] += 1
        finally:
            for step, reason in chaos_round.undo_log.not_done:
                log(f"note: not done: {step}: {reason}")
            log(f"seed {seed}: {verdicts.checks} checks, {len(verdicts.violations)} violations")
    total["rounds"] += 1
    total["events"] += len(chaos_round.undo_log.begun)
    total["events not done"] += len(chaos_round.undo_log.not_done)
    total["checks"] += verdicts.checks
    total["checks left out"] += chaos_round.skipped_checks
    total["violations"] += len(verdicts.violations)
    if not verdicts.violations and not arguments.keep and not (folder / "harness.txt").exists():
        shutil.rmtree(folder, ignore_errors=True)
    return verdicts.violations


def _print_plan(seed: int, bursts: int) -> int:
    plan = Plan(seed)
    print(f"seed {seed}: {plan.settings}")
    generator = plan.bursts()
    for number in range(1, bursts + 1):
        print(f"burst {number}:")
        for step in next(generator).steps:
            print(f"    {step}")
    return 0


def _print_summary(
    total: Counter[str], violations_by_seed: dict[int, list[tuple[str, str]]], folder: Path, bursts: int
) -> int:
    print("\n" + ", ".join(f"{count} {name}" for name, count in total.items()))
    for seed, violations in violations_by_seed.items():
        by_rule = Counter(rule for rule, _ in violations)
        counts = ", ".join(f"{count} x {rule}" for rule, count in by_rule.items())
        print(f"seed {seed}: {counts}\n    again: make chaos SEED={seed} ARGS='--bursts {bursts}'")
    if violations_by_seed:
        print(f"events, logs and pages: {folder}")
        return 1
    if total["rounds that ended early"]:
        print(f"rounds ended early: {folder}")
        return 2
    with contextlib.suppress(OSError):
        folder.rmdir()
    return 0


if __name__ == "__main__":
    sys.exit(main())
