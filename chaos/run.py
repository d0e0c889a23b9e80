"""``python -m chaos.run``: rounds of chaos, one seed each, and a summary of what was found."""

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
from chaos.events import KINDS, NotPossibleError
from chaos.plan import Burst, Plan, Step
from chaos.watch import Ticker, Watcher
from chaos.world import World

ROOT = Path(__file__).parents[1]
BURSTS = 5
#: Seconds that the start of a round and each burst take, about: no round is begun for which no time is left.
START, BURST = 20.0, 25.0
#: Sources of targets: the Sentinels, the cluster, the files.
SOURCES = 3


class Round:
    """One seed: fresh servers, a fresh daemon, and some bursts of events with a quiet period after each."""

    def __init__(self, seed: int, given: argparse.Namespace, folder: Path, verdicts: Verdicts) -> None:
        self.plan = Plan(seed)
        self._bursts, self._folder, self._verdicts = given.bursts, folder, verdicts
        self._ticker = Ticker()
        self._world = World(folder, self.plan.settings, given.checkout.resolve())
        self._watcher = Watcher(self._world.daemon, self._ticker, verdicts.violation, lambda: {*self._world.removals})
        self._checker = Checker(self._world, self._watcher, self._ticker, verdicts)
        self.undo = Undo(self._begin_event)
        self.events: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()

    def run(self) -> None:
        """Run it, and leave nothing behind."""
        say = self._verdicts.say
        try:
            say(f"seed {self.plan.seed}: {self.plan.settings}")
            for what, why in self._world.without.items():
                say(f"without {what}: {why}")
            self._world.start()
            self._watcher.start()
            self._began_daemon()
            self._quiet()
            generator = self.plan.bursts()
            for number in range(1, self._bursts + 1):
                self._burst(number, next(generator))
            self._end()
        finally:
            self._watcher.stop()
            self._ticker.stop()
            last = self._watcher.last
            if last is not None:
                (self._folder / "page-last.txt").write_text(last.text)
            with contextlib.suppress(Exception):
                self.undo.everything()
            self._world.stop()

    def _end(self) -> None:
        """End the daemon while some servers hang."""
        for name in self.plan.settings.hung_at_end:
            self._world.server_of(name).freeze()
        time.sleep(3)
        self._watcher.stop()
        self._checker.stop_daemon()

    def _burst(self, number: int, burst: Burst) -> None:
        say = self._verdicts.say
        say(f"burst {number} of seed {self.plan.seed}:")
        for step in burst.steps:
            say(f"    {step}")
        before = len(self._verdicts.violations)
        staying = self.undo.pending()
        began = time.monotonic()
        for moment in burst.moments():
            time.sleep(max(0.0, began + moment.at - time.monotonic()))
            if moment.undo:
                self.undo.end(moment.step)
            else:
                self.undo.begin(moment.step)
        for step in staying:
            self.undo.end(step)
        self._quiet()
        if len(self._verdicts.violations) > before and self._watcher.last is not None:
            (self._folder / f"page-{number}.txt").write_text(self._watcher.last.text)

    def _quiet(self) -> None:
        world = self._world
        try:
            self._checker.settle()
        except TimeoutError as error:
            self._verdicts.say(f"note: not checked, for the servers are not well: {error}")
            self.skipped["check: servers not well"] += 1
        else:
            world.removals.clear()
            self._checker.check()
        world.changes.clear()
        world.reloads = world.others = 0

    def _begin_event(self, step: Step) -> Generator[None, None, None]:
        if step.kind == "restart daemon":
            return self._restart_daemon()
        if step.on in self._world.without:
            raise NotPossibleError(f"no {step.on} here")
        return KINDS[step.kind](self._world, step)

    def _restart_daemon(self) -> Generator[None, None, None]:
        with self._watcher.interrupted():
            self._checker.stop_daemon()
            self._world.daemon.start()
        self._began_daemon()
        self._checker.forget()
        yield

    def _began_daemon(self) -> None:
        """Count the start as a change of every target and of every source of targets.

        As two of a target: on a busy machine the first connection may miss its deadline, while everything starts.
        """
        everybody = self._world.expected()
        self._world.changed(*everybody)
        self._world.changed(*everybody)
        self._world.others += SOURCES


class Undo:
    """Begins events and undoes them: each that was begun exactly once, also when something else fails meanwhile."""

    def __init__(self, begin: Callable[[Step], Generator[None, None, None]]) -> None:
        self._begin = begin
        self._open: dict[Step, Generator[None, None, None]] = {}
        self.begun: list[Step] = []
        self.not_now: list[tuple[Step, str]] = []

    def begin(self, step: Step) -> None:
        """Begin an event; one that cannot be done now is noted."""
        try:
            event = self._begin(step)
            next(event)
        except (NotPossibleError, OSError, TimeoutError) as error:
            self.not_now.append((step, str(error)))
            return
        self.begun.append(step)
        self._open[step] = event

    def end(self, step: Step) -> None:
        """Undo an event that was begun; nothing happens when it was not, or was undone."""
        event = self._open.pop(step, None)
        if event is not None:
            next(event, None)

    def pending(self) -> list[Step]:
        """Return what is not undone yet."""
        return list(self._open)

    def everything(self) -> None:
        """Undo all that is left."""
        for step in self.pending():
            with contextlib.suppress(Exception):
                self.end(step)


def main() -> int:
    """Run rounds until the time is over, and tell what was found."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="the first seed; alone: this one round and no other")
    parser.add_argument("--minutes", type=float, help="how long; each round takes the next seed")
    parser.add_argument("--bursts", type=int, default=BURSTS, help="bursts of events in a round")
    parser.add_argument("--plan", action="store_true", help="only print what would be done")
    parser.add_argument("--checkout", type=Path, default=ROOT, help="run the daemon of this checkout instead")
    parser.add_argument("--keep", action="store_true", help="keep the files of rounds without a violation too")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else int(time.time())
    if given.plan:
        return _print_plan(seed, given.bursts)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # A shell lets its background jobs ignore Ctrl-C.
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    network.sweep()
    folder = Path(tempfile.mkdtemp(prefix="redis-pulse-chaos-"))
    print(f"chaos: seed {seed}, files in {folder}", flush=True)
    ends = time.monotonic() + 60 * (given.minutes or 0)
    total: Counter[str] = Counter()
    bad: dict[int, list[tuple[str, str]]] = {}
    while True:
        violations = _one(seed, given, folder / f"seed-{seed}", total)
        if violations:
            bad[seed] = violations
        seed += 1
        if time.monotonic() + START + BURST * given.bursts > ends:
            break
    return _summary(total, bad, folder, given.bursts)


def _one(seed: int, given: argparse.Namespace, folder: Path, total: Counter[str]) -> list[tuple[str, str]]:
    folder.mkdir()
    began = time.monotonic()
    with (folder / "events.log").open("w") as log:

        def say(text: str) -> None:
            line = f"{time.monotonic() - began:6.1f} {text}"
            print(line, flush=True)
            print(line, file=log, flush=True)

        verdicts = Verdicts(say)
        one = Round(seed, given, folder, verdicts)
        try:
            one.run()
        except Exception as error:  # noqa: BLE001  # the next seed may do better
            say(f"HARNESS: the round ended early, which is no fault of the daemon: {error!r}")
            (folder / "harness.txt").write_text(traceback.format_exc())
            total["rounds that ended early"] += 1
        finally:
            for step, why in one.undo.not_now:
                say(f"note: not done: {step}: {why}")
            say(f"seed {seed}: {verdicts.checks} checks, {len(verdicts.violations)} violations")
    total["rounds"] += 1
    total["events"] += len(one.undo.begun)
    total["events not done"] += len(one.undo.not_now)
    total["checks"] += verdicts.checks
    total["checks left out"] += one.skipped.total()
    total["violations"] += len(verdicts.violations)
    if not verdicts.violations and not given.keep and not (folder / "harness.txt").exists():
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


def _summary(total: Counter[str], bad: dict[int, list[tuple[str, str]]], folder: Path, bursts: int) -> int:
    print("\n" + ", ".join(f"{count} {what}" for what, count in total.items()))
    for seed, violations in bad.items():
        by_rule = Counter(rule for rule, _ in violations)
        told = ", ".join(f"{count} x {rule}" for rule, count in by_rule.items())
        print(f"seed {seed}: {told}\n    again: make chaos SEED={seed} ARGS='--bursts {bursts}'")
    if bad:
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
