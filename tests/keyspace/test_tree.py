"""The tree of patterns is bounded, learns what varies, and shows only segments of enough different keys."""

import random
from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from redis_pulse.keyspace.names import segments_of
from redis_pulse.keyspace.tree import MAX_CHILDREN, MAX_NODES, MIN_KEYS, PatternTree


class Moves:
    """Records what the tree reports."""

    def __init__(self) -> None:
        self.moved: list[tuple[int, int]] = []
        self.split: list[tuple[int, int]] = []
        self.tree = PatternTree(
            lambda old, new: self.moved.append((old, new)), lambda old, new: self.split.append((old, new))
        )


def shown(tree: PatternTree) -> set[str]:
    return {part.path for part in tree.parts.values() if part.may_be_shown and part.parent is not None}


def test_two_kinds_of_keys_have_two_paths() -> None:
    tree = Moves().tree
    for number in range(100):
        tree.add(0, f"user:{number}:profile".encode())
        tree.add(0, f"session:{number:016x}".encode())
    assert {"user:*:profile", "session:*"} <= shown(tree)


def test_names_of_people_are_merged_when_they_are_many() -> None:
    moves = Moves()
    for number in range(3 * MAX_CHILDREN):
        name = "".join(random.Random(number).choices("abcdefghijklmnopqrstuvwxyz", k=6))
        moves.tree.add(0, f"user:{name}:cart".encode())
    assert "user:*:cart" in shown(moves.tree)
    assert len(moves.moved) >= MAX_CHILDREN
    assert len(moves.tree.roots[0].children["user:"].children) == 1


def test_frequent_segment_that_appears_later_is_split_off() -> None:
    moves = Moves()
    for number in range(200):
        name = "".join(random.Random(number).choices("abcdefghijklmnopqrstuvwxyz", k=6))
        moves.tree.add(0, f"{name}:x".encode())
    assert moves.split == []
    for number in range(200):
        moves.tree.add(0, f"invoices:{number}".encode())
    assert "invoices:*" in shown(moves.tree)
    assert moves.split


def test_ten_million_patterns_keep_the_tree_small() -> None:
    """The names are drawn from ten million patterns, of which no two draws have the same one."""
    tree, source = Moves().tree, random.Random(5)
    for _ in range(3000):
        words = ["".join(source.choices("abcdefghijklmnop", k=5)) for _ in range(4)]
        tree.add(source.randrange(3), ":".join(words).encode())
        assert len(tree.parts) <= MAX_NODES
    assert all(set(path) <= {"*", ":"} for path in shown(tree))


def test_node_without_keys_is_forgotten_after_a_while() -> None:
    tree = Moves().tree
    for number in range(30):
        tree.add(0, f"old:{number}".encode())
    before = len(tree.parts)
    for _ in range(8):
        for number in range(20_000):
            tree._hits += 1
            if number % 500 == 0:
                tree.add(0, f"new:{number}".encode())
        tree.age(lambda _: False)
    assert len(tree.parts) < before + 2
    assert not any(path.startswith("old") for path in shown(tree))


WORDS = st.sampled_from(["user", "cart", "ann", "bob", "secret", "x", "17", "a@b.c", "9f86d081884c7d65"])
NAMES = st.lists(WORDS, min_size=1, max_size=4).map(":".join)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(NAMES, st.integers(1, 60)), min_size=1, max_size=12),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_no_segment_is_shown_that_few_keys_have(
    groups: list[tuple[str, int]], repeats: int, shuffle: random.Random
) -> None:
    """An attacker chooses the names. Drawing one key often must not count as many keys."""
    names = [f"{prefix}:{number}k" for prefix, count in groups for number in range(count)] * repeats
    shuffle.shuffle(names)
    tree = Moves().tree
    keys_by_path: dict[str, set[str]] = defaultdict(set)
    for name in names:
        tree.add(0, name.encode())
        segments = segments_of(name.encode())
        for end in range(1, len(segments) + 1):
            keys_by_path["".join(segments[:end])].add(name)
    for path in shown(tree):
        literal = [name for prefix, found in keys_by_path.items() if prefix == path for name in found]
        if "*" not in path:
            assert len(set(literal)) >= MIN_KEYS, path


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet="abcd", min_size=1, max_size=3), min_size=1, max_size=400), st.integers(0, 10**6))
def test_every_shown_word_occurs_in_enough_different_keys(words: list[str], seed: int) -> None:
    """Also after merges and splits: each word in a shown pattern is a segment of at least twenty different keys."""
    source, tree = random.Random(seed), Moves().tree
    keys: dict[str, set[str]] = defaultdict(set)
    for word in words:
        name = f"{word}:{source.choice(words)}:{source.randrange(40)}"
        tree.add(0, name.encode())
        for segment in segments_of(name.encode()):
            keys[segment].add(name)
    for path in shown(tree):
        for segment in segments_of(path.encode()):
            if segment.strip("*:"):
                assert len(keys[segment]) >= MIN_KEYS, path
