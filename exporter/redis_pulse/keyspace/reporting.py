"""Make the report of one server from what was learned about its keys."""

from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from redis_pulse.keyspace.estimator import (
    DrawSums,
    add_up,
    brought_to_present,
    estimate_keys,
    estimate_size,
    follow_drift,
    recent_part,
    tail_squares,
)
from redis_pulse.keyspace.explanation import certainty_of, notes_of
from redis_pulse.keyspace.grouping import GroupKey, PatternGroup, PatternGroups
from redis_pulse.keyspace.report import (
    OTHER,
    Estimate,
    KeyspaceReport,
    LargeKey,
    PatternGrowth,
    PatternNode,
    PatternUsage,
    WalkProgress,
)
from redis_pulse.keyspace.tree import PatternPart
from redis_pulse.keyspace.window import BUCKETS, median_of

if TYPE_CHECKING:
    from redis_pulse.keyspace.state import KeyspaceState

#: The largest keys, and the changes of patterns, that a report has.
MAX_LARGEST, MAX_GROWTH = 50, 20
#: Types of one pattern that are shown apart.
_MAX_TYPES = 4
#: Groups that are estimated before other tasks may run.
_GROUPS_PER_SLICE = 40
MIXED = "mixed"


class _Measured(NamedTuple):
    usage: PatternUsage
    #: The node that shows it.
    node: int


#: Yields between the parts of the work, and returns the report.
ReportSteps = Generator[None, None, KeyspaceReport]


def report_steps(state: "KeyspaceState", now: float, at: float, *, show_keys: bool) -> ReportSteps:
    """Make the report of this moment in parts of some milliseconds."""
    state.window.rotate(now)
    _choose(state, now)
    yield
    groups = PatternGroups(state)
    yield
    measured: list[_Measured] = []
    for number, (key, group) in enumerate(groups.by_key.items(), 1):
        if key[0] in state.tree.parts:  # it may have been merged since
            measured += _measure(state, groups, key, group)
        if number % _GROUPS_PER_SLICE == 0:
            yield
    usages = _joined(one.usage for one in measured)
    has_memory = state.capabilities.memory
    memory = add_up([one.memory for one in usages if one.memory is not None]) if has_memory and usages else None
    by_pattern = _by_pattern(usages)
    growth = _growth(state, now, by_pattern)
    dataset = state.facts.dataset_bytes
    keys = sum(state.keys.values())
    walk = WalkProgress(
        ratio=state.walk.ratio(keys),
        passes=state.walk.passes,
        seconds=state.walk.seconds,
        running=0.0 if state.walk.began is None else now - state.walk.began,
    )
    first = state.window.buckets[0].began if state.window.buckets else now
    return KeyspaceReport(
        at=at,
        window=min(state.settings.window, now - first),
        keys=keys,
        draws_total=state.draws_total,
        draws=state.window.draws(),
        patterns=tuple(sorted(usages, key=_weight, reverse=True)),
        tree=_tree(state, measured),
        memory=memory,
        dataset_bytes=dataset,
        unexplained_bytes=None if dataset is None or memory is None else dataset - memory.value,
        largest=_largest(state, now, show_keys=show_keys),
        growth=growth,
        walk=walk,
        keys_per_second=state.keys_per_second,
        server_share=state.server_share,
        certainty=certainty_of(keys, state.window.draws(), memory, walk, len(state.giants)),
        notes=notes_of(state),
    )


def _weight(usage: PatternUsage) -> float:
    return usage.keys.value if usage.memory is None else usage.memory.value


def _choose(state: "KeyspaceState", now: float) -> None:
    """Choose the shown patterns again: often at first, later some hundred times in a window."""
    began = state.window.buckets[0].began if state.window.buckets else now
    if now - state.chosen_at < min(state.settings.window / 120, (now - began) / 10):
        return
    state.chosen_at = now
    memory: dict[int, float] = defaultdict(float)
    count: dict[int, float] = defaultdict(float)
    draws: dict[int, int] = defaultdict(int)
    for bucket in state.window.buckets:
        for db, drawn in bucket.draws.items():
            draws[db] += drawn
        for (number, _), cell in bucket.cells.items():
            if (part := state.tree.parts.get(number)) is not None and cell.draws:
                count[number] += cell.draws
                memory[number] += cell.total
    for digest, large in state.window.large.items():
        if digest not in state.giants:
            hits = sum(large.hits)
            count[large.cell[0]] += hits
            memory[large.cell[0]] += hits * large.size
    for number, part in state.tree.parts.items():
        scale = state.keys.get(part.db, 0) / draws[part.db] if draws.get(part.db) else 0.0
        memory[number] *= scale
        count[number] *= scale
    for one in state.giants:
        memory[one.node] += one.size
        count[one.node] += 1
    all_memory, all_keys = sum(memory.values()) or 1.0, sum(count.values()) or 1.0
    shares = {number: max(memory[number] / all_memory, count[number] / all_keys) for number in state.tree.parts}
    state.tree.age(lambda number: count[number] > 0)
    state.selection.choose(state.tree, shares, now, state.settings.window / BUCKETS)


def _measure(state: "KeyspaceState", groups: PatternGroups, key: GroupKey, group: PatternGroup) -> Iterable[_Measured]:
    """Yield the usage of one shown pattern and type, if it has keys."""
    number, kind = key
    part = state.tree.parts[number]
    keys_of_db = state.keys.get(part.db, 0)
    rest = groups.rest.get(part.db, 0)
    reached = state.walk.reached(part.db, keys_of_db)
    unseen = group.found.squares * (1 - reached) / reached if reached > 0 else 0.0
    sizes: list[Estimate] = []
    counts: list[Estimate] = []
    draws = 0.0
    for since, periods in (group.periods or {0: groups.new_periods(part.db)}).items():
        first = next((at for at, bucket in enumerate(state.window.buckets) if bucket.number >= since), 0)
        recent, growth_error = brought_to_present(periods[first:])
        recent = recent[recent_part(recent) :]
        sums = sum(recent, DrawSums())
        draws += sums.draws
        tail = (1 - reached) * tail_squares(group.sizes, rest / sums.all_draws) if sums.all_draws else 0.0
        size = estimate_size(sums, rest, state.facts.unevenness, max(unseen, tail), growth_error)
        count = estimate_keys(sums, rest, state.facts.unevenness, growth_error)
        sizes.append(follow_drift(size, recent, rest))
        counts.append(follow_drift(count, [one.counts for one in recent], rest))
    all_sizes, all_counts = add_up(sizes), add_up(counts)
    memory = Estimate(all_sizes.value + group.found.total, all_sizes.error)
    keys = Estimate(all_counts.value + group.found.keys, all_counts.error)
    if not draws and not group.found.keys:
        return
    known = group.expiry_known + group.found_known
    is_lfu = state.facts.is_lfu
    median = median_of(group.bins, is_lfu=is_lfu)
    yield _Measured(
        PatternUsage(
            db=part.db,
            pattern=shown_name(part),
            type=kind,
            memory=memory if state.capabilities.memory else None,
            keys=keys,
            without_expiry=_share_forever(group, all_counts.value) if known else None,
            idle_seconds=None if is_lfu else median,
            frequency=median if is_lfu else None,
            draws=round(draws),
            found_keys=group.found.keys,
        ),
        number,
    )


def _share_forever(group: PatternGroup, rest: float) -> float:
    """Return the share of keys that never expire: of those that the walk found, and of the others."""
    drawn = group.forever / group.expiry_known if group.expiry_known else 0.0
    others = rest if group.expiry_known else 0.0
    total = others + group.found_known
    return (drawn * others + group.found_forever) / total if total else drawn


def shown_name(part: PatternPart) -> str:
    """Return the label of a pattern. Only segments of enough different keys are in it."""
    if part.label:
        return part.label
    if part.parent is None:
        return OTHER
    path = part.path
    return f"{path}*" if any(not child.label for child in part.children.values()) and path[-1] != "*" else path


def _joined(usages: Iterable[PatternUsage]) -> list[PatternUsage]:
    """Return one usage for each database, pattern and type. The rarest of many types become one."""
    by_pattern: dict[tuple[int, str], list[PatternUsage]] = defaultdict(list)
    for usage in usages:
        by_pattern[usage.db, usage.pattern].append(usage)
    joined: list[PatternUsage] = []
    for found in by_pattern.values():
        found.sort(key=_weight, reverse=True)
        kinds = list(dict.fromkeys(one.type for one in found))
        kept = kinds if len(kinds) <= _MAX_TYPES else kinds[: _MAX_TYPES - 1]
        by_type: dict[str, list[PatternUsage]] = defaultdict(list)
        for one in found:
            by_type[one.type if one.type in kept else MIXED].append(one)
        joined += [_sum_of(kind, parts) for kind, parts in by_type.items()]
    return joined


def _sum_of(kind: str, parts: list[PatternUsage]) -> PatternUsage:
    largest = parts[0]
    if len(parts) == 1:
        return largest
    sizes = [one.memory for one in parts if one.memory is not None]
    keys = add_up([one.keys for one in parts])
    known = [(one.without_expiry, one.keys.value) for one in parts if one.without_expiry is not None]
    weight = sum(value for _, value in known)
    return PatternUsage(
        db=largest.db,
        pattern=largest.pattern,
        type=kind,
        memory=add_up(sizes) if sizes else None,
        keys=keys,
        without_expiry=sum(share * value for share, value in known) / weight if weight else None,
        idle_seconds=largest.idle_seconds,
        frequency=largest.frequency,
        draws=sum(one.draws for one in parts),
        found_keys=sum(one.found_keys for one in parts),
    )


def _by_pattern(usages: Iterable[PatternUsage]) -> dict[tuple[int, str], Estimate]:
    parts: dict[tuple[int, str], list[Estimate]] = defaultdict(list)
    for one in usages:
        if one.memory is not None:
            parts[one.db, one.pattern].append(one.memory)
    return {key: add_up(found) for key, found in parts.items()}


def _growth(
    state: "KeyspaceState", now: float, by_pattern: Mapping[tuple[int, str], Estimate]
) -> tuple[PatternGrowth, ...]:
    """Compare with the report of one window ago, whose draws are all different ones."""
    if now - state.recorded_at >= state.settings.window / BUCKETS and by_pattern:
        state.recorded_at = now
        state.history.append((now, dict(by_pattern)))
    old = [entry for entry in state.history if now - entry[0] >= state.settings.window]
    if not old:
        return ()
    then, before = old[-1]
    changes = [
        PatternGrowth(
            db,
            pattern,
            Estimate(size.value - earlier.value, (size.error**2 + earlier.error**2) ** 0.5),
            now - then,
        )
        for (db, pattern), size in by_pattern.items()
        if (earlier := before.get((db, pattern))) is not None
    ]
    return tuple(sorted(changes, key=lambda one: abs(one.change.value), reverse=True)[:MAX_GROWTH])


def _tree(state: "KeyspaceState", measured: Iterable[_Measured]) -> tuple[PatternNode, ...]:
    """Return the shown patterns below each other, one node for each database, whose keys the server has counted."""
    usages: dict[int, list[PatternUsage]] = defaultdict(list)
    for one in measured:
        usages[one.node].append(one.usage)
    children: dict[int, list[PatternPart]] = defaultdict(list)
    for number in state.selection.shown:
        part = state.tree.parts.get(number)
        if part is not None and part.parent is not None and state.selection.nearest(part) is part:
            children[state.selection.nearest(part.parent).number].append(part)

    def node(part: PatternPart) -> PatternNode:
        below = sorted((node(child) for child in children[part.number]), key=_node_weight, reverse=True)
        own = sorted(usages[part.number], key=_weight, reverse=True)
        parts: list[PatternNode | PatternUsage] = [*own, *below]
        sizes = [one.memory for one in parts if one.memory is not None]
        return PatternNode(
            part.db,
            shown_name(part) if part.parent is not None else "*",
            add_up(sizes) if sizes else None,
            add_up([one.keys for one in parts]) if part.parent is not None else Estimate(state.keys[part.db], 0.0),
            tuple(own),
            tuple(one for one in below if one.keys.value > 0),
        )

    return tuple(node(root) for db, root in sorted(state.tree.roots.items()) if db in state.keys)


def _node_weight(node: PatternNode) -> float:
    return node.keys.value if node.memory is None else node.memory.value


def _largest(state: "KeyspaceState", now: float, *, show_keys: bool) -> tuple[LargeKey, ...]:
    found = []
    for one in state.giants.largest(MAX_LARGEST):
        part = state.tree.parts.get(one.node)
        if part is None:
            continue
        has_memory = state.capabilities.memory
        found.append(
            LargeKey(
                db=one.db,
                pattern=shown_name(state.selection.nearest(part)),
                type=one.type,
                memory=one.size if has_memory else None,
                length=one.length,
                ttl=None if one.ttl is None or one.ttl < 0 else one.ttl / 1e3,
                age=now - one.at,
                name=one.name if show_keys and not state.is_hidden(one) else None,
            )
        )
    return tuple(found)
