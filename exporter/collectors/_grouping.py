"""Keys to groups: which group a key is in, and how many keys and bytes each group has."""

import re
from collections.abc import Sequence

from exporter.collectors._distinct import Distinct
from exporter.collectors._pace import Pace
from exporter.collectors._places import OVERFLOW, Places
from exporter.collectors._text import answer, label, word
from exporter.collectors.base import UNSUPPORTED, Commands
from exporter.parse.reply import as_integer

#: The group of keys that no expression matches.
UNCLASSIFIED = "unclassified"
#: Characters of a key that expressions see: what they cost grows with it.
SEEN = 1000
#: Keys that are measured at once.
BATCH = 10


def group_of(key: bytes, expressions: Sequence[re.Pattern[str]]) -> str:
    """Return what the first expression that matches captures, joined; or the match itself, when it captures nothing."""
    text = key[: 4 * SEEN].decode("utf-8", errors="replace")[:SEEN]
    for expression in expressions:
        if match := expression.search(text):
            return "".join(one or "" for one in match.groups()) if expression.groups else match[0]
    return UNCLASSIFIED


class Group:
    """The keys of one group."""

    __slots__ = ("bytes", "keys", "measured")

    def __init__(self) -> None:
        self.keys = Distinct(500)
        #: Bytes of the keys that were measured, and how many these were.
        self.bytes = self.measured = 0

    @property
    def memory(self) -> float | None:
        """Bytes of all keys of the group, as far as those that were measured tell; None when none was."""
        return self.bytes * self.keys.count / self.measured if self.measured else None


class Groups:
    """What one pass found: at most ``most`` groups of their own, and the keys of all others together."""

    def __init__(self, expressions: Sequence[re.Pattern[str]], most: int) -> None:
        self._expressions = expressions
        self._most = most
        self._others = Distinct()
        self._rest = Group()
        self.groups: dict[str, Group] = {}

    def add(self, key: bytes, memory: int | None) -> None:
        """Take in a key, and the bytes it takes, if that is known."""
        name = group_of(key, self._expressions)
        group = self.groups.get(name)
        if group is None:
            if len(self.groups) < self._most:
                group = self.groups[name] = Group()
            else:
                self._others.add([name.encode("utf-8", errors="replace")])
                group = self._rest
        group.keys.add([key])
        if memory is not None:
            group.bytes += memory
            group.measured += 1

    @property
    def distinct(self) -> int:
        """How many groups there are, with those that have none of their own."""
        return len(self.groups) + self._others.count

    def served(self, places: Places[str], most: int, now: float) -> dict[str, tuple[int, float | None]]:
        """Return keys and bytes of ``most`` groups, the largest when they are chosen, and of the rest as ``overflow``.

        Groups are not chosen afresh each time: see ``Places``.
        """
        weights = {name: group.memory or float(group.keys.count) for name, group in self.groups.items()}
        seated = places.seat(weights, most, now)
        rest = [group for name, group in self.groups.items() if name not in seated or label(name) == OVERFLOW]
        if self._rest.keys.seen:
            rest.append(self._rest)
        served = {label(name): (self.groups[name].keys.count, self.groups[name].memory) for name in sorted(seated)}
        if rest:
            known = [group.memory for group in rest if group.memory is not None]
            served[OVERFLOW] = (sum(group.keys.count for group in rest), sum(known) if known else None)
        return served


async def measure(db: int, keys: list[bytes], commands: Commands, every: int, pace: Pace) -> list[int | None]:
    """Return the bytes of each key; None of those that were not measured, or are gone."""
    chosen = [place for place, key in enumerate(keys) if every == 1 or hash(key) % every == 0]
    found: list[int | None] = [None] * len(keys)
    for start in range(0, len(chosen), BATCH):
        batch = chosen[start : start + BATCH]
        asked = [("MEMORY", "USAGE", word(keys[place])) for place in batch]
        await pace.breathe()
        for place, reply in zip(batch, await commands.pipeline(asked, db=db), strict=True):
            found[place] = None if isinstance(reply, UNSUPPORTED) else as_integer(answer(reply))
    return found
