"""Compare the targets that run with the targets of a new configuration."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from redis_pulse.config import TargetSettings


class TargetDiff(NamedTuple):
    """What a new list of targets changes. A changed target is in both fields."""

    removed: tuple[str, ...]
    added: tuple[TargetSettings, ...]


def difference(running: Mapping[str, TargetSettings], wanted: Sequence[TargetSettings]) -> TargetDiff:
    """Compare settings by value. An unchanged target keeps its connections, its circuit breaker and its counters."""
    by_name = {target.name: target for target in wanted}
    removed = tuple(name for name, target in running.items() if _differ(by_name.get(name), target))
    added = tuple(target for target in wanted if _differ(running.get(target.name), target))
    return TargetDiff(removed, added)


def _differ(one: TargetSettings | None, other: TargetSettings) -> bool:
    # To compare a thousand targets by value takes much longer. Most of them are the same objects as before.
    return one is not other and one != other


def only_labels_differ(old: TargetSettings, new: TargetSettings) -> bool:
    """Return whether two settings of a target differ in nothing but their labels."""
    return new.model_copy(update={"labels": old.labels}) == old
