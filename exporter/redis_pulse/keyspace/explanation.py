"""Say in sentences how sure a report is, and what is missing."""

from typing import TYPE_CHECKING

from redis_pulse.keyspace.report import Estimate, WalkProgress

if TYPE_CHECKING:
    from redis_pulse.keyspace.state import KeyspaceState


def certainty_of(keys: int, draws: int, memory: Estimate | None, walk: WalkProgress, found: int) -> str:
    """Return how sure the values are."""
    if not keys:
        return "The server has no keys."
    if found >= keys:
        return f"All {keys} keys were measured one by one."
    parts = []
    if memory is not None and memory.value > 0:
        error = 100 * memory.error / memory.value
        parts.append(f"With 95 % certainty, the sum is right to {error:.1f} %, from {draws} random keys.")
    else:
        parts.append(f"{draws} random keys were counted.")
    if walk.passes:
        parts.append(f"A walk has visited all keys; the {found} largest count with certainty.")
    else:
        share = "less than 1 %" if walk.ratio < 0.01 else f"{100 * walk.ratio:.0f} %"
        parts.append(f"The walk has visited {share} of the keys: a rare and huge key may still be missing.")
    return " ".join(parts)


def notes_of(state: "KeyspaceState") -> tuple[str, ...]:
    """Return what is missing and why."""
    notes = state.capabilities.notes()
    if state.facts.version and not state.facts.draws_fairly:
        notes.append(
            "RANDOMKEY of this version prefers keys that are alone in their hash bucket; "
            "names and sizes do not matter for that, and the intervals are wider by it"
        )
    if state.facts.role == "slave":
        notes.append("this is a replica: its keys are those of its primary")
    if state.oversized:
        notes.append(f"{state.oversized} draws hit keys with names that are too long to read; they are in no pattern")
    if state.paused:
        notes.append(state.paused)
    return tuple(notes)
