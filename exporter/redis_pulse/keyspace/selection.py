"""Choose the patterns that are shown: large ones, few, and the same ones as before if that is possible.

A pattern is shown from a share of 1 % of memory or keys on. It stays until it is below 0.4 % for some while. What is
not shown counts for the nearest shown pattern above it, finally for ``other``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from redis_pulse.keyspace.names import ANY
from redis_pulse.keyspace.tree import PatternPart, PatternTree

#: Shown patterns, ``other`` not counted.
MAX_SHOWN = 49
#: The share from which a pattern is shown, and below which it is not shown any more.
ENTER_SHARE, LEAVE_SHARE = 0.01, 0.004
#: A shown pattern gives way only to one that is so many times larger.
_LOYALTY = 2.0


@dataclass(slots=True)
class PatternSelection:
    """The shown nodes, and since when each of them is too small, or None."""

    shown: dict[int, float | None] = field(default_factory=dict)

    def choose(self, tree: PatternTree, shares: Mapping[int, float], now: float, patience: float) -> None:
        """Choose again. ``shares`` is the share of each node alone, without the nodes below it.

        A shown pattern stays until it was too small for ``patience`` seconds.
        """
        residual = {number: shares.get(number, 0.0) for number in tree.parts}
        candidates: dict[int, float] = {}
        for root in tree.roots.values():
            for part in root.below():
                share = residual[part.number]
                if part.may_be_shown and self._is_large(part, share, now - patience):
                    candidates[part.number] = share
                elif part.parent is not None:
                    residual[part.parent.number] += share
        weights = {number: share * (_LOYALTY if number in self.shown else 1.0) for number, share in candidates.items()}
        best = sorted(weights, key=lambda number: (-weights[number], number))[:MAX_SHOWN]
        self.shown = {
            number: (self.shown.get(number) or now) if candidates[number] < LEAVE_SHARE else None for number in best
        }

    def _is_large(self, part: PatternPart, share: float, too_long_ago: float) -> bool:
        if part.number in self.shown:
            small_since = self.shown[part.number]
            return share >= LEAVE_SHARE or small_since is None or small_since > too_long_ago
        return share >= ENTER_SHARE or (bool(part.label) and share > 0)

    def nearest(self, part: PatternPart) -> PatternPart:
        """Return the shown node that counts the keys of a node: itself, one above it, or the root."""
        while part.parent is not None and (part.number not in self.shown or self._has_name_of_parent(part)):
            part = part.parent
        return part

    def _has_name_of_parent(self, part: PatternPart) -> bool:
        """Return whether the parent is shown as the same pattern: both ``user:`` and ``user:*`` read ``user:*``."""
        return part.parent is not None and part.text == ANY and not part.label and part.parent.number in self.shown

    def move(self, old: int, new: int) -> None:
        """Show another node in place of one that was merged into it."""
        if old in self.shown:
            self.shown.setdefault(new, self.shown.pop(old))
