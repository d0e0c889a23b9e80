"""Migrations of slots as one node reports them: how many by state, and how far the running ones are.

redis_slot_migrations{target="cart",operation="export",state="active"} 1
redis_slot_migration_age_seconds{target="cart",operation="export"} 12

Valkey 9.0 and later list them with CLUSTER GETSLOTMIGRATIONS. Redis 8.4 and later list them with CLUSTER MIGRATION
STATUS. The permission for the latter also allows to move slots, so it is sent on request only. Without it, the field
``cluster_slot_migration_active_tasks`` of CLUSTER INFO shows that a task runs.
"""
# ruff: noqa: E501 - one line per metric definition

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, UnreadableField, gauge
from redis_pulse.parse.reply import as_integer, as_list, as_map, as_text, parse_uint

_SECTION = "CLUSTER GETSLOTMIGRATIONS"
OPERATIONS = ("import", "export")
STATES = ("active", "success", "failed", "cancelled")
# fmt: off
MIGRATIONS = gauge(_SECTION, "state", "slot_migrations", "Migrations of slots that the node remembers, by state. All states that are not final are active (Valkey 9.0, Redis 8.4 and later).", labels=("operation", "state"))
SLOTS = gauge(_SECTION, "slot_ranges", "slot_migration_slots", "Slots of the active migrations (Valkey 9.0, Redis 8.4 and later).", labels=("operation",))
AGE = gauge(_SECTION, "create_time", "slot_migration_age_seconds", "Age of the oldest active migration, 0 if none is active (Valkey 9.0, Redis 8.4 and later).", labels=("operation",))
UNCHANGED = gauge(_SECTION, "last_update_time", "slot_migration_unchanged_seconds", "Longest time since the state of an active migration changed, 0 if none is active (Valkey 9.0 and later).", labels=("operation",))
REMAINING = gauge(_SECTION, "remaining_repl_size", "slot_migration_remaining_bytes", "Bytes of changes that the active migrations still have to send (Valkey 9.1 and later).", labels=("operation",))
RETRIES = gauge("CLUSTER MIGRATION STATUS", "retries", "slot_migration_retries", "Retries of the active migrations (Redis 8.4 and later).", labels=("operation",))
# fmt: on
SLOT_MIGRATIONS: tuple[MetricSpec, ...] = (MIGRATIONS, SLOTS, AGE, UNCHANGED, REMAINING, RETRIES)

#: Words of the servers for an operation.
_OPERATIONS = {"import": "import", "export": "export", "migrate": "export"}
#: Words of the servers for a final state. Every other state is ``active``.
_FINAL_STATES = {"success": "success", "completed": "success", "failed": "failed"} | dict.fromkeys(
    ("cancelled", "canceled"), "cancelled"
)
#: Migrations that are read. A Valkey remembers 1000 of them (cluster-slot-migration-log-max-len).
_MAX_MIGRATIONS = 2000
#: Unix times from here on are milliseconds.
_MILLISECONDS = 10**11


class SlotMigration(NamedTuple):
    """One migration of slots. What a server does not report is None. Times are Unix seconds."""

    operation: str
    state: str
    slots: int
    created: float | None
    updated: float | None
    remaining: int | None
    retries: int | None


def parse_migration(reply: Any) -> SlotMigration | None:
    """Read one entry, or return None if its operation or its state is missing or unknown."""
    fields = as_map(reply) or {}
    operation = _OPERATIONS.get((as_text(fields.get("operation")) or "").lower())
    state = as_text(fields.get("state"))
    if operation is None or not state:
        return None
    return SlotMigration(
        operation,
        _FINAL_STATES.get(state.lower(), "active"),
        _count_slots(as_text(fields.get("slot_ranges", fields.get("slots"))) or ""),
        _seconds(fields.get("create_time")),
        _seconds(fields.get("last_update_time")),
        _number(fields.get("remaining_repl_size")),
        _number(fields.get("retries")),
    )


def read_migrations(reply: Any, now: float | None) -> Iterator[CollectorItem]:
    """Read the reply to either command. ``now`` is the Unix time of the server, None if it is not known."""
    entries = as_list(reply)
    if entries is None:
        yield UnreadableField(MIGRATIONS.location)
        return
    counts = {(operation, state): 0 for operation in OPERATIONS for state in STATES}
    active: dict[str, list[SlotMigration]] = {operation: [] for operation in OPERATIONS}
    for entry in entries[:_MAX_MIGRATIONS]:
        if (migration := parse_migration(entry)) is None:
            yield UnreadableField(MIGRATIONS.location)
            continue
        counts[migration.operation, migration.state] += 1
        if migration.state == "active":
            active[migration.operation].append(migration)
    if len(entries) > _MAX_MIGRATIONS:
        yield OverflowCount(MIGRATIONS.location, len(entries) - _MAX_MIGRATIONS)
    for labels, count in counts.items():
        yield MIGRATIONS.sample(float(count), *labels)
    for operation, migrations in active.items():
        yield from _progress(operation, migrations, now)


def _progress(operation: str, migrations: Sequence[SlotMigration], now: float | None) -> Iterator[CollectorItem]:
    yield SLOTS.sample(float(sum(migration.slots for migration in migrations)), operation)
    for metric, times in (
        (AGE, [migration.created for migration in migrations]),
        (UNCHANGED, [migration.updated for migration in migrations]),
    ):
        known = [time for time in times if time is not None]
        if now is not None and len(known) == len(times):
            yield metric.sample(max((max(0.0, now - time) for time in known), default=0.0), operation)
    for metric, numbers in (
        (REMAINING, [migration.remaining for migration in migrations]),
        (RETRIES, [migration.retries for migration in migrations]),
    ):
        found = [number for number in numbers if number is not None]
        if found:
            yield metric.sample(float(sum(found)), operation)


def _count_slots(text: str) -> int:
    """Return how many slots ``0-10 20-29`` names. A part that is no range counts as nothing."""
    total = 0
    for part in text.split()[:_MAX_MIGRATIONS]:
        first, dash, last = part.partition("-")
        start, end = parse_uint(first), parse_uint(last if dash else first)
        if start is not None and end is not None and end >= start:
            total += end - start + 1
    return total


def _number(value: Any) -> int | None:
    number = as_integer(value)
    return parse_uint(as_text(value) or "") if number is None else number


def _seconds(value: Any) -> float | None:
    """Return a Unix time in seconds. Valkey writes seconds, and Redis writes milliseconds."""
    number = _number(value)
    if number is None or number <= 0:
        return None
    return number / 1000 if number >= _MILLISECONDS else float(number)
