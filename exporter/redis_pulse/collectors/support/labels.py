"""Label values that users of the server choose, such as key, client and command names.

Their number and length have no limit, and their bytes need not be text. Three helpers handle that:

- ``LabelLimiter`` decides which values get series of their own. The others are summed as ``overflow``.
- ``label_value`` makes a valid, short label value of any name.
- ``unreadable_database`` reports a database without values, in place of its series.
"""

import heapq
from collections.abc import Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from hashlib import blake2b
from math import inf
from typing import Generic, TypeVar

from redis_pulse.errors import NoDatabaseError, TargetError
from redis_pulse.metric import UnreadableField

#: The label value that stands for all values without series of their own.
OVERFLOW = "overflow"
#: Maximum characters of a label value.
MAX_LABEL_LENGTH = 200
Value = TypeVar("Value", bound=Hashable)


class LabelLimiter(Generic[Value]):
    """Admits a limited number of label values. An admitted value stays while it exists, and ``keep`` seconds longer.

    Choosing the largest values again in each poll would be wrong: values near the limit would appear and disappear.
    Each of them would leave its series behind in Prometheus.
    """

    def __init__(self, keep: float = inf) -> None:
        self._keep = keep
        self._last_seen: dict[Value, float] = {}

    def admit(
        self, weights: Mapping[Value, float], limit: int, now: float = 0.0, *, always: Sequence[Value] = ()
    ) -> frozenset[Value]:
        """Return the admitted values. New values in ``weights`` fill the free places, the heaviest first.

        The values ``always`` come before them, and are admitted beyond ``limit`` too.
        """
        if self.has_all(weights) and self.has_all(always):
            return frozenset(weights)
        self._last_seen = {
            value: seen for value, seen in self._last_seen.items() if value in weights or now - seen <= self._keep
        }
        self._last_seen |= dict.fromkeys(always, now)
        new = {value: weight for value, weight in weights.items() if value not in self._last_seen}
        for value in heapq.nlargest(max(0, limit - len(self._last_seen)), new, key=new.__getitem__):
            self._last_seen[value] = now
        admitted = frozenset(value for value in weights if value in self._last_seen)
        self._last_seen |= dict.fromkeys(admitted, now)
        return admitted

    def has_all(self, values: Iterable[Value]) -> bool:
        """Return whether all values are admitted without an end, so that ``admit`` would change nothing."""
        return self._keep == inf and self._last_seen.keys() >= set(values)

    @property
    def kept(self) -> AbstractSet[Value]:
        """All admitted values, including those that were not in the newest ``weights``."""
        return self._last_seen.keys()


def label_value(name: bytes | str) -> str:
    """Return a name as a label value. Bytes that are not UTF-8 become U+FFFD.

    A name that is too long is cut. A digest at its end keeps it different from other names with the same beginning.
    """
    raw = name.encode("utf-8", errors="replace") if isinstance(name, str) else name
    text = raw[: 4 * MAX_LABEL_LENGTH + 4].decode("utf-8", errors="replace")
    if len(raw) <= MAX_LABEL_LENGTH or len(text) <= MAX_LABEL_LENGTH:
        return text
    return f"{text[: MAX_LABEL_LENGTH - 10]}…{blake2b(raw, digest_size=4).hexdigest()}"


def unreadable_database(error: TargetError, db: int, location: str) -> UnreadableField:
    """Return the unreadable field of an error that concerns one database: it does not exist, or it was refused.

    Raise the error if it concerns the whole server.
    """
    if isinstance(error, NoDatabaseError):
        return UnreadableField(f"SELECT/db{db}")
    if type(error) is TargetError:
        return UnreadableField(location)
    raise error
