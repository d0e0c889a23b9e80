"""What is learned about one server stays bounded, follows changes, and shows no name that it must not show."""

import random
import tracemalloc
from dataclasses import replace
from itertools import product

import pytest

from redis_pulse.keyspace import (
    HIDDEN,
    OTHER,
    Draw,
    KeyspaceReport,
    KeyspaceSettings,
    KeyspaceState,
    PatternNode,
    PatternUsage,
    ServerFacts,
    glob_expression,
)
from redis_pulse.keyspace.giants import MAX_GIANTS
from tests.fakes import ManualClock

FACTS = ServerFacts(run_id="one", software="redis", version="7.2.4", role="master", dataset_bytes=1e7)


class Keys:
    """A key space in this process, from which a state gets draws and a walk."""

    def __init__(self, keys: dict[str, int], *, kind: str = "string", db: int = 0, **settings: object) -> None:
        self.keys, self.kind, self.db = keys, kind, db
        self.clock = ManualClock()
        self.random = random.Random(11)
        self.state = KeyspaceState(KeyspaceSettings(**settings), clock=self.clock, wall=self.clock)  # type: ignore[arg-type]
        self.observe(FACTS)

    def observe(self, facts: ServerFacts) -> None:
        self.state.observe(replace(facts, keys={self.db: len(self.keys)} if self.keys else {}))

    def draws_of(self, names: list[str]) -> list[Draw]:
        return [Draw(name.encode(), self.kind, self.keys[name], -1, 100) for name in names]

    def draw(self, count: int, seconds: float = 0.0) -> None:
        names = list(self.keys)
        for _ in range(count // 50):
            self.state.add_draws(self.db, self.draws_of(self.random.choices(names, k=50)))
            self.clock.advance(seconds * 50 / count)

    def walk(self) -> None:
        self.state.walk.position([self.db], self.clock())
        for draw in self.draws_of(list(self.keys)):
            if self.state.is_interesting(draw.size or 0):
                self.state.add_found(self.db, draw)
        self.state.walk.advance(0, len(self.keys), [self.db], self.clock.advance(60))

    def report(self, **options: bool) -> KeyspaceReport:
        self.clock.advance(60)
        return self.state.report(**options)

    def usage(self, pattern: str) -> PatternUsage:
        (found,) = [usage for usage in self.report().patterns if usage.pattern == pattern]
        return found


def sessions(count: int, size: int = 200) -> dict[str, int]:
    return {f"session:{number:016x}": size for number in range(count)}


def test_server_without_keys_has_an_empty_report() -> None:
    report = Keys({}).report()
    assert report.patterns == report.tree == report.largest == ()
    assert report.certainty == "The server has no keys."
    assert report.memory is None


def test_small_server_is_measured_key_by_key() -> None:
    keys = Keys(sessions(100) | {f"user:{n}": 1000 for n in range(50)})
    keys.draw(500)
    keys.walk()
    report = keys.report()
    assert {usage.pattern: usage.memory for usage in report.patterns} == {
        "session:*": (20_000.0, 0.0),
        "user:*": (50_000.0, 0.0),
    }
    assert report.certainty == "All 150 keys were measured one by one."
    assert report.unexplained_bytes == 1e7 - 70_000
    assert report.walk.passes == 1
    assert report.walk.ratio == 1.0


def test_estimate_of_a_large_server_has_the_true_value_in_its_interval() -> None:
    source = random.Random(2)
    keys = Keys(
        {name: source.randint(50, 400) for name in sessions(20_000)}
        | {f"user:{n}:profile": source.randint(500, 900) for n in range(4000)}
    )
    keys.draw(8000, seconds=1000)
    users = keys.usage("user:*:profile")
    true = sum(size for name, size in keys.keys.items() if name.startswith("user"))
    assert users.memory is not None
    assert users.memory.low <= true <= users.memory.high
    assert users.memory.error < 0.08 * true
    assert users.keys.low <= 4000 <= users.keys.high
    assert users.without_expiry == 1.0
    assert users.idle_seconds == pytest.approx(100, rel=0.5)
    assert users.type == "string"


def test_five_giants_are_found_by_the_walk_and_counted_with_certainty() -> None:
    """The draws miss them. They are too few for their name to be shown, so they are in ``other``."""
    keys = Keys(sessions(20_000) | {f"blob:{n}": 20_000_000 for n in range(5)})
    keys.draw(3000, seconds=500)
    keys.walk()
    report = keys.report()
    (other,) = [usage for usage in report.patterns if usage.pattern == OTHER]
    assert other.memory == (100_000_000.0, 0.0)
    assert other.found_keys == 5
    assert [key.memory for key in report.largest[:5]] == [20_000_000] * 5
    assert {key.name for key in report.largest} == {None}
    assert {key.name for key in keys.report(show_keys=True).largest[:5]} == {f"blob:{n}".encode() for n in range(5)}
    assert "blob" not in repr(report)


def test_own_patterns_come_first_and_hidden_keys_are_only_counted() -> None:
    keys = Keys(
        sessions(1000) | {f"blob:{n}": 5_000_000 for n in range(5)} | {f"patient:{n}": 400 for n in range(500)},
        patterns=("blob:*",),
        hide=("patient:*",),
    )
    keys.draw(3000, seconds=500)
    keys.walk()
    report = keys.report(show_keys=True)
    assert {usage.pattern for usage in report.patterns} == {"session:*", "blob:*", HIDDEN}
    assert keys.usage("blob:*").memory == (25_000_000.0, 0.0)
    assert "patient" not in repr(report)


def test_glob_matches_the_whole_name_in_linear_time() -> None:
    expression = glob_expression("a*b?c.[d]")
    assert expression.search("a--bxc.[d]")
    assert not expression.search("a--bxc.[d]e")
    assert not glob_expression("*a" * 100 + "b").search("a" * 500)


def test_flushed_server_is_empty_at_once_and_refills_without_old_values() -> None:
    keys = Keys(sessions(5000))
    keys.draw(3000, seconds=500)
    keys.walk()
    keys.keys = {}
    keys.observe(FACTS)
    assert keys.report().patterns == ()
    keys.keys = {f"order:{n}": 1000 for n in range(3000)}
    keys.observe(FACTS)
    keys.draw(3000, seconds=500)
    assert [usage.pattern for usage in keys.report().patterns] == ["order:*"]
    assert keys.usage("order:*").keys.value == pytest.approx(3000)


def test_restart_forgets_draws_and_cursor_and_keeps_the_patterns() -> None:
    keys = Keys(sessions(5000))
    keys.draw(3000, seconds=500)
    keys.report()
    keys.state.walk.advance(17, 100, [0], 0.0)
    keys.observe(replace(FACTS, run_id="two"))
    assert keys.report().draws == 0
    assert keys.state.walk.cursor == 0
    assert keys.state.selection.shown
    keys.draw(500)
    assert [usage.pattern for usage in keys.report().patterns] == ["session:*"]


def test_vanished_giant_is_dropped_when_it_is_measured_again() -> None:
    keys = Keys(sessions(2000) | {"dump": 9_000_000})
    keys.draw(2000, seconds=100)
    keys.walk()
    assert keys.report().largest[0].memory == 9_000_000
    keys.clock.advance(601)
    assert b"dump" in {giant.name for giant in keys.state.due_again(MAX_GIANTS)}
    keys.state.add_found(0, Draw(b"dump", "none", None, None, None))
    assert all(key.memory != 9_000_000 for key in keys.report().largest)


def test_key_that_grew_is_not_counted_twice() -> None:
    """It was drawn as a large key before the walk found it. From then on its draws do not count."""
    keys = Keys(sessions(3000) | {"dump": 50_000_000})
    keys.draw(3000, seconds=500)
    keys.state.add_draws(0, keys.draws_of(["dump"] * 3))
    keys.walk()
    report = keys.report()
    assert report.memory is not None
    assert report.memory.value == pytest.approx(50_000_000 + 3000 * 200, rel=0.01)


def test_growing_pattern_is_followed_and_reported() -> None:
    """Two windows of draws: in the second one, 4000 events of 1000 bytes are new."""
    keys = Keys(sessions(10_000))
    for _ in range(12):
        keys.draw(300, seconds=240)
        keys.report()
    keys.keys |= {f"event:{n}": 1000 for n in range(4000)}
    keys.observe(FACTS)
    for _ in range(11):
        keys.draw(300, seconds=240)
        keys.report()
    assert keys.usage("event:*").memory is not None
    report = keys.report()
    events = next(one for one in report.patterns if one.pattern == "event:*").memory
    assert events is not None
    assert events.low <= 4_000_000 <= events.high
    (change,) = [one for one in report.growth if one.pattern == "session:*"]
    assert not change.is_certain
    for _ in range(12):
        keys.draw(300, seconds=240)
    keys.keys |= {f"event:{n}": 1000 for n in range(4000, 8000)}
    keys.observe(FACTS)
    keys.draw(3000, seconds=240)
    (change,) = [one for one in keys.report().growth if one.pattern == "event:*"]
    assert change.is_certain
    assert change.change.value > 0


def test_values_of_the_tree_contain_those_of_its_children() -> None:
    keys = Keys({f"app:{kind}:{n}": 300 for kind, n in product(("user", "cart", "bill"), range(1000))})
    keys.draw(3000, seconds=500)
    (root,) = keys.report().tree

    def total(node: PatternNode) -> float:
        return sum(one.keys.value for one in node.usages) + sum(total(child) for child in node.children)

    assert total(root) == pytest.approx(root.keys.value)
    assert root.keys.value == pytest.approx(3000)


def test_pattern_below_a_split_one_counts_from_the_split_too() -> None:
    """Its earlier draws were counted for the merged pattern: to count the time before it gives too few keys."""
    keys = Keys({f"user:{n}:profile": 700 for n in range(4000)})
    keys.draw(500, seconds=5)
    part = keys.state.tree.find(0, b"user:1:profile")
    assert part.parent is not None
    keys.state.window.split(part.parent.number, part.parent.number, keys.clock())
    keys.draw(300, seconds=3)
    assert keys.usage("user:*:profile").draws == 300


def test_root_of_a_database_has_the_exact_number_of_keys() -> None:
    keys = Keys(sessions(20_000) | {f"user:{n}": 1000 for n in range(5000)})
    keys.draw(1000, seconds=100)
    (root,) = keys.report().tree
    assert root.keys == (25_000, 0.0)
    assert all(child.keys.error > 0 for child in root.children)


def test_hostile_types_do_not_become_labels() -> None:
    keys = Keys(sessions(200), kind="x" * 500)
    keys.draw(500)
    assert {usage.type for usage in keys.report().patterns} == {"unknown"}
    for number in range(100):
        keys.state.add_draws(0, [Draw(b"session:1", f"type{number}", 1, -1, 1)])
    assert len(keys.state.types) <= 12


def test_lfu_server_reports_frequencies_in_place_of_idle_times() -> None:
    keys = Keys(sessions(200))
    keys.observe(replace(FACTS, is_lfu=True))
    keys.draw(500)
    usage = keys.usage("session:*")
    assert usage.idle_seconds is None
    assert usage.frequency == pytest.approx(100, abs=8)


def test_report_says_what_is_missing() -> None:
    keys = Keys(sessions(200))
    keys.observe(replace(FACTS, version="6.2.14"))
    keys.state.capabilities.memory = False
    keys.state.capabilities.denied.add("memory|usage")
    keys.state.oversized = 2
    keys.draw(500)
    report = keys.report()
    assert report.memory is None
    assert report.patterns[0].memory is None
    notes = " ".join(report.notes)
    assert "only keys are counted" in notes
    assert "grant +memory|usage" in notes
    assert "prefers keys that are alone in their hash bucket" in notes
    assert "2 draws hit keys with names that are too long" in notes


def test_two_megabytes_hold_fifty_patterns_of_any_key_space() -> None:
    """Sixty patterns, random words, long names, and keys of all sizes, over two windows."""
    # The first use fills caches of the interpreter (regular expressions, imports), 250 kB that no target adds.
    _observe_many_patterns(seconds=20)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    state = _observe_many_patterns(seconds=1000)
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    report = state.report()
    assert len({usage.pattern for usage in report.patterns}) <= 50
    assert len({usage.pattern for usage in report.patterns}) > 30
    assert used < 2_000_000, f"{used} bytes"


def _observe_many_patterns(*, seconds: int) -> KeyspaceState:
    source = random.Random(9)
    kinds = [f"{a}:{b}" for a, b in product(("web", "app", "job", "api", "bot", "sys"), "abcdefghij")]
    clock = ManualClock()
    state = KeyspaceState(KeyspaceSettings(), clock=clock, wall=clock)
    state.observe(replace(FACTS, keys={0: 10_000_000}))
    for second in range(seconds):
        draws = []
        for _ in range(12):
            word = "".join(source.choices("abcdefghijklmnop", k=30)) if source.random() < 0.1 else ""
            name = f"{source.choice(kinds)}:{word}:{source.getrandbits(64):x}:{'y' * source.randrange(100)}".encode()
            draws.append(Draw(name, source.choice(["string", "hash"]), int(100 * source.paretovariate(0.8)), -1, 50))
        state.add_draws(0, draws)
        for draw in draws:
            if state.is_interesting(draw.size or 0):
                state.add_found(0, draw)
        clock.advance(7)
        if second % 250 == 0:
            state.report()
    return state
