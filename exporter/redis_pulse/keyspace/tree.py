"""The tree of key patterns: learned from names, bounded, and without the name of any key.

Each node is a segment. A node whose children are many and small learns that this segment varies: it merges them into
one child ``*``. A child that becomes frequent later is split off again. A merge moves the counts of a node to another
one; ``on_move`` reports it. After a split, earlier counts of ``*`` may contain keys of the new child. So both count
from that moment; ``on_split`` reports it.
"""

from array import array
from collections.abc import Callable, Iterator

from redis_pulse.keyspace.names import ANY, any_like, segments_of

#: Different keys in which a segment must have been seen before it is shown.
MIN_KEYS = 20
#: Children of one node, and nodes of the tree. Beyond them, segments are merged.
MAX_CHILDREN, MAX_NODES = 40, 450
#: The share of all draws with which a child stays apart from merged siblings, or is split off later.
_KEEP_SHARE, _SPLIT_SHARE = 0.01, 0.02
#: Segments of one merged node that are counted, because they may be split off.
_CANDIDATES = 12
#: Keys after which earlier keys count half.
_AGE_AFTER = 20_000


class _Candidate:
    """A segment that may be frequent. ``since`` is the number of draws of the tree when it was first counted."""

    __slots__ = ("hits", "keys", "since")

    def __init__(self, since: int) -> None:
        self.hits, self.since = 0, since
        self.keys = array("Q")


class PatternPart:
    """One node: a segment below its parent. Its keys are those whose name ends here."""

    __slots__ = ("candidates", "children", "db", "hits", "keys", "label", "number", "parent", "text")

    def __init__(self, number: int, text: str, parent: "PatternPart | None", db: int, label: str = "") -> None:
        self.number = number
        self.text = text
        self.parent = parent
        self.db = db
        #: The whole pattern, if a user wrote it; empty if it was learned.
        self.label = label
        self.children: dict[str, PatternPart] = {}
        #: None until the children were merged.
        self.candidates: dict[str, _Candidate] | None = None
        self.hits = 0
        #: Digests of different keys below it; None from ``MIN_KEYS`` on.
        self.keys: array[int] | None = array("Q")

    @property
    def may_be_shown(self) -> bool:
        """Whether the segment was seen in enough different keys, or a user wrote it."""
        return self.keys is None or bool(self.label)

    @property
    def is_root(self) -> bool:
        """Whether this is a whole database."""
        return self.parent is None

    @property
    def path(self) -> str:
        """The pattern from the start to this segment."""
        if self.label or self.parent is None:
            return self.label
        return self.parent.path + self.text

    def add_key(self, digest: int) -> None:
        """Count a key below this node."""
        self.hits += 1
        if self.keys is not None:
            self.keys = _with(self.keys, digest)

    def below(self) -> "Iterator[PatternPart]":
        """Yield all nodes below this one, children before their parents."""
        for child in self.children.values():
            yield from child.below()
            yield child


class PatternTree:
    """The patterns of one server, by database."""

    def __init__(self, on_move: Callable[[int, int], None], on_split: Callable[[int, int], None]) -> None:
        self._on_move = on_move
        self._on_split = on_split
        self._next = 0
        self._hits = 0
        self.roots: dict[int, PatternPart] = {}
        self.parts: dict[int, PatternPart] = {}

    def named(self, db: int, label: str) -> PatternPart:
        """Return the node of a pattern that a user wrote."""
        root = self._root(db)
        part = root.children.get(f"\0{label}")
        if part is None:
            part = root.children[f"\0{label}"] = self._new(f"\0{label}", root, label)
        return part

    def add(self, db: int, name: bytes) -> PatternPart:
        """Return the node of a key, and count the key for it and all nodes above."""
        self._hits += 1
        digest = hash((db, name)) & 0xFFFF_FFFF_FFFF_FFFF
        part = self._root(db)
        part.add_key(digest)
        for segment in segments_of(name):
            part = self._child(part, segment, digest)
            part.add_key(digest)
        while len(self.parts) > MAX_NODES and self._shrink():
            pass
        return self.find(db, name)

    def find(self, db: int, name: bytes) -> PatternPart:
        """Return the node of a key without counting it: the deepest one that has it."""
        part = self._root(db)
        for segment in segments_of(name):
            child = part.children.get(segment) or part.children.get(any_like(segment)) or part.children.get(ANY)
            if child is None:
                return part
            part = child
            if segment != part.text and part.text == ANY:
                return part  # its tail was merged
        return part

    def age(self, in_use: Callable[[int], bool]) -> None:
        """Let old keys count half from time to time. Forget nodes that had none for long and are not in use."""
        if self._hits < _AGE_AFTER:
            return
        self._hits //= 2
        for root in self.roots.values():
            root.hits //= 2
            for part in tuple(root.below()):
                part.hits //= 2
                for candidate in (part.candidates or {}).values():
                    candidate.since //= 2
                if not part.hits and not part.children and part.parent is not None and not in_use(part.number):
                    del part.parent.children[part.text]
                    del self.parts[part.number]

    def _root(self, db: int) -> PatternPart:
        if db not in self.roots:
            self.roots[db] = self._new("", None, "", db)
        return self.roots[db]

    def _new(self, text: str, parent: PatternPart | None, label: str = "", db: int = 0) -> PatternPart:
        part = PatternPart(self._next, text, parent, db if parent is None else parent.db, label)
        self.parts[part.number] = part
        self._next += 1
        return part

    def _child(self, parent: PatternPart, segment: str, digest: int) -> PatternPart:
        if (child := parent.children.get(segment)) is not None:
            return child
        if parent.candidates is not None and segment != any_like(segment):
            if (split := self._count_candidate(parent, parent.candidates, segment, digest)) is not None:
                return split
            segment = any_like(segment)
            if (child := parent.children.get(segment)) is not None:
                return child
        child = parent.children[segment] = self._new(segment, parent)
        if parent.candidates is None and len(parent.children) > MAX_CHILDREN:
            self._merge_children(parent)
            child = parent.children.get(segment) or parent.children[any_like(segment)]
        return child

    def _count_candidate(
        self, parent: PatternPart, candidates: dict[str, _Candidate], segment: str, digest: int
    ) -> PatternPart | None:
        """Count a segment that was merged. Return its own node if it has become frequent."""
        if segment not in candidates:
            if len(candidates) >= _CANDIDATES:  # the weakest one loses a hit, so that a new one gets its chance
                weakest = min(candidates, key=lambda text: candidates[text].hits)
                candidates[weakest].hits -= 1
                if candidates[weakest].hits > 0:
                    return None
                del candidates[weakest]
            candidates[segment] = _Candidate(self._hits)
        candidate = candidates[segment]
        candidate.hits += 1
        if len(candidate.keys) < MIN_KEYS:
            _with(candidate.keys, digest)
        is_frequent = candidate.hits >= max(MIN_KEYS, _SPLIT_SHARE * (self._hits - candidate.since))
        if len(candidate.keys) < MIN_KEYS or not is_frequent or len(parent.children) >= MAX_CHILDREN:
            return None
        del candidates[segment]
        child = parent.children[segment] = self._new(segment, parent)
        child.keys = None
        merged = parent.children.get(any_like(segment))
        if merged is not None:
            for one in (merged, *merged.below()):
                self._on_split(one.number, child.number)
        return child

    def _shrink(self) -> bool:
        """Merge the children of the node whose children are rarest. Return whether a node could be merged."""
        wide = [part for part in self.parts.values() if _learned_children(part) >= 2]
        if wide:
            self._merge_children(min(wide, key=lambda part: part.hits / _learned_children(part)), keep=False)
            return True
        rare = min(
            (part for part in self.parts.values() if part.parent and not part.children and not part.label),
            key=lambda part: part.hits,
            default=None,
        )
        if rare is None or rare.parent is None:
            return False
        self._merge(rare, rare.parent)
        return True

    def _merge_children(self, parent: PatternPart, *, keep: bool = True) -> None:
        """Let the segment below ``parent`` vary: merge its children, except the frequent ones."""
        parent.candidates = {}
        enough = max(MIN_KEYS, _KEEP_SHARE * self._hits)
        for text, child in tuple(parent.children.items()):
            is_frequent = keep and child.may_be_shown and child.hits >= enough
            if child.label or is_frequent or text == any_like(text):
                continue
            if any_like(text) not in parent.children:
                parent.children[any_like(text)] = self._new(any_like(text), parent)
            self._merge(child, parent.children[any_like(text)])

    def _merge(self, part: PatternPart, into: PatternPart) -> None:
        """Add a node and everything below it to another node."""
        for text, child in tuple(part.children.items()):
            if text in into.children:
                self._merge(child, into.children[text])
            else:
                into.children[text] = child
                child.parent = into
        if into is not part.parent:  # the parent has counted these keys already
            into.hits += part.hits
            if part.keys is None or into.keys is None:
                into.keys = None
            for digest in part.keys or ():
                into.keys = None if into.keys is None else _with(into.keys, digest)
        if part.candidates is not None and into.candidates is None:
            into.candidates = part.candidates
        if part.parent is not None and part.parent.children.get(part.text) is part:
            del part.parent.children[part.text]
        self.parts.pop(part.number, None)
        self._on_move(part.number, into.number)


def _learned_children(part: PatternPart) -> int:
    return sum(1 for text, child in part.children.items() if not child.label and text != any_like(text))


def _with(keys: "array[int]", digest: int) -> "array[int] | None":
    """Return the digests with one more, or None if there are enough of them."""
    if digest not in keys:
        keys.append(digest)
    return keys if len(keys) < MIN_KEYS else None
