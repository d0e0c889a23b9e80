"""Shown patterns are large and few, and they stay. A label that changes leaves a series behind each time."""

import random

from redis_pulse.keyspace.selection import ENTER_SHARE, LEAVE_SHARE, MAX_SHOWN, PatternSelection
from redis_pulse.keyspace.tree import PatternTree


def ignore(_old: int, _new: int) -> None:
    """Do nothing."""


def tree_of(*prefixes: str) -> tuple[PatternTree, dict[str, int]]:
    tree = PatternTree(ignore, ignore)
    numbers = {prefix: tree.add(0, f"{prefix}:{n}".encode()).number for prefix in prefixes for n in range(25)}
    return tree, numbers


def letters(number: int) -> str:
    return f"{chr(97 + number // 26)}{chr(97 + number % 26)}"


def test_large_pattern_is_shown_and_small_one_counts_for_the_root() -> None:
    tree, numbers = tree_of("big", "tiny")
    selection = PatternSelection()
    selection.choose(tree, {numbers["big"]: 0.9, numbers["tiny"]: 0.001}, 0.0, 300.0)
    assert selection.shown.keys() == {numbers["big"]}
    assert selection.nearest(tree.parts[numbers["tiny"]]) is tree.roots[0]


def test_share_that_swings_around_the_limit_keeps_its_label() -> None:
    tree, numbers = tree_of("big", "edge")
    selection, source = PatternSelection(), random.Random(3)
    changes, before = 0, False
    for minute in range(24 * 60):
        share = source.gauss(ENTER_SHARE, ENTER_SHARE / 4)
        selection.choose(tree, {numbers["big"]: 0.9, numbers["edge"]: max(0.0, share)}, 60.0 * minute, 300.0)
        changes += (numbers["edge"] in selection.shown) is not before
        before = numbers["edge"] in selection.shown
    assert changes == 1


def test_pattern_that_stays_small_is_dropped_after_a_while() -> None:
    tree, numbers = tree_of("big", "gone")
    selection = PatternSelection()
    selection.choose(tree, {numbers["big"]: 0.9, numbers["gone"]: 0.1}, 0.0, 300.0)
    small = {numbers["big"]: 0.9, numbers["gone"]: LEAVE_SHARE / 2}
    selection.choose(tree, small, 60.0, 300.0)
    assert numbers["gone"] in selection.shown
    selection.choose(tree, small, 361.0, 300.0)
    assert numbers["gone"] not in selection.shown


def test_at_most_fifty_patterns_are_shown() -> None:
    # Two levels, because one node keeps only so many children apart.
    tree, numbers = tree_of(*(f"{letters(n % 3)}:{letters(n)}" for n in range(75)))
    selection = PatternSelection()
    selection.choose(tree, dict.fromkeys(numbers.values(), 0.0133), 0.0, 300.0)
    assert len(selection.shown) <= MAX_SHOWN
    assert len(selection.shown) > 30


def test_larger_pattern_replaces_a_shown_one_only_if_twice_as_large() -> None:
    tree, numbers = tree_of(*(f"{letters(n % 3)}:{letters(n)}" for n in range(75)))
    selection = PatternSelection()
    first, rest = list(numbers.values())[:MAX_SHOWN], list(numbers.values())[MAX_SHOWN:]
    selection.choose(tree, dict.fromkeys(first, 0.0133), 0.0, 300.0)
    shown = set(selection.shown)
    selection.choose(tree, dict.fromkeys(first, 0.0133) | dict.fromkeys(rest, 0.02), 60.0, 300.0)
    assert shown <= set(selection.shown)
