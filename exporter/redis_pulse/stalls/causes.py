"""Name the cause of a stall: ``classify(evidence)`` is pure, total, and an ordered table of rules.

Compare ``RULES`` with docs/stalls.md. A rule returns a ``Finding`` or None. A finding has the seconds it explains.

- The finding that explains most of the wait wins, and the first of those that explain the same.
- ``why`` names another cause that explains at least a fifth of the wait.
- A wrong cause is worse than ``unknown``. Evidence that is missing or contradictory therefore ends in ``unknown``.
"""

from collections.abc import Callable
from typing import NamedTuple

from redis_pulse.stalls.elimination import eviction_of_one_key, no_cpu, not_running, paused, saturated, unknown
from redis_pulse.stalls.evidence import Evidence
from redis_pulse.stalls.facts import CommandTime, Facts, join_names, seconds_text
from redis_pulse.stalls.findings import CAUSES, Cause, Certainty, Finding, undecided

__all__ = ["CAUSES", "RULES", "Cause", "Certainty", "Verdict", "classify"]

#: A command that used less CPU than this share of its time was stopped inside. A contended host may leave it a half.
#: Between the two shares, the evidence contradicts itself.
_STOPPED_SHARE, _DOUBTFUL_SHARE = 0.25, 0.4
#: Seconds after which the malformed command has its answer. It leaves when a ping is overdue, and waits 0.25 s.
_TURNED_BY = 0.4
#: Causes after which no rule can add anything.
_FINAL: frozenset[Cause] = frozenset(("exporter", "loading", "restart", "network", "unknown"))

_DO: dict[Cause, str] = {
    "command": "Replace this command by one that works in small batches (SCAN, UNLINK, smaller ranges, ASYNC).",
    "script": "Make the script shorter, or split its work over several calls.",
    "fork": "Give the host more memory, switch transparent huge pages off, or let a replica write the snapshots.",
    "disk": "Put the AOF on a faster disk, use appendfsync everysec, or set no-appendfsync-on-rewrite.",
    "expire": "Set lazyfree-lazy-expire yes, and let large keys expire at different times.",
    "eviction": "Raise maxmemory, set lazyfree-lazy-eviction yes, or store less.",
    "paused": "Find out who sent CLIENT PAUSE; an operator or a tool did.",
    "saturated": "Spread the load over more shards or replicas, or send fewer commands.",
    "not_running": "Look at CPU limits and throttling, swapping, and signals on the host of the server.",
    "network": "Look at the network between exporter and server, and whether the host of the server froze.",
    "loading": "Wait for the data set. Find out why the server restarted or resynchronized.",
    "restart": "Find out why the process ended: its log, the OOM killer, a deployment, a failover.",
    "exporter": "Give the exporter more CPU; its own event loop was late.",
    "unknown": "Look at the evidence of this record.",
}


class Verdict(NamedTuple):
    """The cause of one stall. ``why`` and ``do`` are one sentence each and hold no arguments, keys or addresses."""

    cause: Cause
    certainty: Certainty
    why: str
    do: str


def classify(evidence: Evidence) -> Verdict:
    """Return the cause that explains most of the stall, or ``unknown`` with the evidence that would tell."""
    facts = Facts(evidence)
    found: list[Finding] = []
    for rule in RULES:
        finding = rule(facts)
        if finding is None:
            continue
        found.append(finding)
        facts.named[finding.cause] = finding.seconds
        facts.slept += finding.slept
        if finding.cause in _FINAL:
            break
    winner = max(found, key=lambda finding: finding.seconds)
    others = [
        f"{finding.cause} ({finding.why})"
        for finding in found
        if finding.cause not in (winner.cause, "unknown") and finding.seconds >= 0.2 * facts.wait
    ]
    why = winner.why + (f"; also {join_names(others)}" if others else "")
    return Verdict(winner.cause, winner.certainty, why, winner.do or _DO[winner.cause])


# Decided by how the pings ended or by the kernel. They explain the whole wait.


def exporter(facts: Facts) -> Finding | None:
    """Blame our own delay: by the kernel's timestamps, no reply was late."""
    evidence = facts.evidence
    if evidence.ended_by not in ("reply", "unknown"):
        return None
    if evidence.ended_by == "reply" and evidence.kernel_clock and 0 < facts.wait < evidence.threshold:
        why = f"by the kernel's clock no ping took longer than {seconds_text(facts.wait)}"
        return Finding("exporter", "sure", facts.wait, why)
    if not evidence.kernel_clock and facts.wait > 0 and evidence.loop_lag >= 0.5 * facts.wait:
        why = f"the exporter's own event loop was late by {seconds_text(evidence.loop_lag)}"
        return Finding("exporter", "likely", facts.wait, why)
    return None


def loading(facts: Facts) -> Finding | None:
    """Accept the answer LOADING."""
    if facts.evidence.ended_by == "loading":
        return Finding("loading", "sure", facts.wait, "the server answered LOADING")
    if facts.after is not None and facts.after.text("loading") == "1" and facts.evidence.ended_by != "reply":
        return Finding("loading", "sure", facts.wait, "INFO reports loading:1")
    return None


def busy_script(facts: Facts) -> Finding | None:
    """Accept the answer BUSY, which only a script or a function causes."""
    if facts.evidence.ended_by == "busy":
        return Finding("script", "sure", facts.wait, "the server answered BUSY: a script or function runs")
    return None


def closed(facts: Facts) -> Finding | None:
    """Decide about a stall during which the exporter closed its connections to the server."""
    if facts.evidence.ended_by == "moved":
        why = "the name of the target moved to another server: a failover, or a new address"
        return Finding("restart", "sure", facts.wait, why)
    if facts.evidence.ended_by == "closed":
        why = "the target was removed or its settings changed before the server answered"
        return undecided(facts, why, "Look at the next stalls: the exporter watches them from the beginning.")
    return None


def restart(facts: Facts) -> Finding | None:
    """Detect that another process answers."""
    if facts.other_process:
        uptime = facts.after.number("uptime_in_seconds") if facts.after is not None else None
        if uptime is not None and facts.after is not None and uptime > facts.after.at - facts.start + 5:
            return Finding(
                "restart", "sure", facts.wait, "another server answers than before: a failover or a new route"
            )
        return Finding("restart", "sure", facts.wait, "another run_id answers: the process is a new one")
    is_known = facts.before is not None and facts.after is not None and facts.before.text("run_id") is not None
    if facts.evidence.ended_by == "restart" and not is_known:
        return Finding("restart", "likely", facts.wait, "the connection was lost, and a new process answers")
    return None


def network(facts: Facts) -> Finding | None:
    """Detect that no ACK came for the ping: cable, route, or the whole machine frozen."""
    seconds, retransmits = facts.unacknowledged()
    if seconds > 0 and (seconds >= 0.5 * facts.wait or retransmits):
        why = f"no ACK for {seconds_text(seconds)} of {seconds_text(facts.wait)}, {retransmits} retransmissions"
        return Finding("network", "sure", max(seconds, 0.5 * facts.wait), why)
    return None


def no_answer(facts: Facts) -> Finding | None:
    """Stop here without INFO of before and after: nothing else can be decided."""
    if facts.before is not None and facts.after is not None and facts.after.at > facts.start and facts.wait > 0:
        return None
    reason = ", ".join(f"{source}: {text}" for source, text in sorted(facts.evidence.missing.items()))[:120]
    when = "after the stall" if facts.before is not None else "before the stall"
    why = f"no INFO of the time {when}" + (f" ({reason})" if reason else "")
    return undecided(facts, why, "Allow INFO in the ACL of the exporter, and keep stalls.enquire switched on.")


# Measured: the server says how long this took.


def fork(facts: Facts) -> Finding | None:
    """Blame the fork of BGSAVE or of an AOF rewrite. The slow log blames BGSAVE, so this precedes ``command``."""
    microseconds = facts.after.number("latest_fork_usec") if facts.after is not None else None
    if not facts.grew("total_forks") or microseconds is None or facts.idle:
        return None
    seconds = microseconds / 1e6
    if seconds < max(0.3 * facts.wait, 0.01):
        return None
    return Finding("fork", "sure", min(seconds, facts.wait), f"a fork took {seconds_text(seconds)}")


def command(facts: Facts) -> Finding | None:
    """Blame a command whose log entry overlaps the stall. The log has wall time, so the CPU must agree."""
    top = facts.top_command()
    if top is None or (facts.idle and (facts.aof_event() or (0.0, ""))[0] >= 0.5 * facts.wait):
        return None  # or it ended just before the wait for the disk
    explained = top.overlap
    if facts.evidence.malformed_refused is True:
        explained = min(explained, _TURNED_BY) / 2  # it ended at some moment before the event loop turned
    took = f"{top.name.upper()} took {seconds_text(top.seconds)} ({top.source})"
    if not top.may_sleep and (doubt := _stopped_inside(facts, top, took, explained)) is not None:
        return doubt
    if top.is_constant_time and facts.delta("expired_keys") is None:
        return undecided(facts, f"{took}, and expired_keys is missing", "Allow INFO stats in the ACL of the exporter.")
    cause, certainty = _kind_of(top, facts)
    why = took + (", and keys expired" if cause == "expire" else "")
    return Finding(cause, certainty, explained, why, slept=explained if top.may_sleep else 0.0)


def _stopped_inside(facts: Facts, top: CommandTime, took: str, explained: float) -> Finding | None:
    """Return what the CPU says against a command that cannot sleep, or None if it agrees."""
    if facts.cpu is None:
        return undecided(
            facts, f"{took}, but CPU use is missing", "Allow INFO cpu: it tells a slow command from a stop."
        )
    share = facts.cpu.used / min(top.seconds, facts.cpu.window)
    if share < _STOPPED_SHARE:
        why = f"{took}, but the process used only {seconds_text(facts.cpu.used)} of CPU: stopped inside it"
        return Finding("not_running", "likely", explained, why)
    if (facts.idle or share < _DOUBTFUL_SHARE) and explained >= 0.5 * facts.wait:
        why = f"{took}, but little CPU was used while the pings waited: stopped inside it, or a starved host"
        return undecided(facts, why, "Compare the CPU of the host with that of the server.")
    return None


def _kind_of(top: CommandTime, facts: Facts) -> tuple[Cause, Certainty]:
    if top.is_script:
        return "script", "sure"
    if top.name in ("bgsave", "bgrewriteaof"):
        return "fork", "likely"
    if top.is_constant_time and facts.grew("expired_keys"):
        return "expire", "likely"
    if facts.busy or top.name == "debug":
        return "command", "sure"
    return "command", "likely"


def retransmissions(facts: Facts) -> Finding | None:
    """Blame the network if the kernel had to send again, and the server was not busy."""
    before, after = facts.evidence.retransmits_before, facts.evidence.retransmits_after
    if before is None or after is None or after <= before or facts.busy or facts.named:
        return None
    why = f"the kernel sent {after - before} times again, and the server was not busy"
    return Finding("network", "likely", facts.wait, why)


def expire(facts: Facts) -> Finding | None:
    """Blame the expire cycle, which measures its own time."""
    seconds = (facts.delta("expire_cycle_cpu_milliseconds") or 0.0) / 1000
    if seconds < 0.3 * facts.wait or seconds <= 0 or facts.idle:
        return None
    return Finding("expire", "sure", min(seconds, facts.wait), f"the expire cycle took {seconds_text(seconds)}")


def eviction(facts: Facts) -> Finding | None:
    """Blame eviction if memory was above ``maxmemory`` for a large part of the wait."""
    seconds = (facts.delta("total_eviction_exceeded_time") or 0.0) / 1000
    if not facts.grew("evicted_keys") or seconds < 0.3 * facts.wait or seconds <= 0 or facts.idle:
        return None
    why = f"{facts.delta('evicted_keys') or 0:.0f} keys evicted, above maxmemory for {seconds_text(seconds)}"
    return Finding("eviction", "likely", min(seconds, facts.wait), why)


def disk(facts: Facts) -> Finding | None:
    """Detect that the AOF waited for the disk."""
    seconds, name = facts.aof_event() or (0.0, "")
    if seconds >= max(0.1, 0.5 * facts.wait):
        why = f"the latency event {name} took {seconds_text(seconds)}"
        if name == "aof-write-alone" and facts.idle:  # no fsync ran, and a write alone rarely waits
            return undecided(facts, f"{why}: a disk, or a stop inside the write", "Look at the disk of the AOF.")
        return Finding("disk", "sure", min(facts.wait, seconds), why, slept=min(facts.wait, seconds))
    if facts.busy:
        return None
    if facts.grew("aof_delayed_fsync"):
        rest = facts.rest
        return Finding("disk", "likely", rest, "a write waited for an fsync (aof_delayed_fsync)", slept=rest)
    seconds = (facts.delta("eventloop_duration_aof_sum") or 0.0) / 1e6
    if seconds >= max(0.1, 0.5 * facts.wait):
        why = f"the event loop spent {seconds_text(seconds)} in the AOF"
        return Finding("disk", "sure", min(seconds, facts.wait), why, slept=seconds)
    return None


RULES: tuple[Callable[[Facts], Finding | None], ...] = (
    exporter,
    loading,
    busy_script,
    closed,
    restart,
    network,
    no_answer,
    fork,
    command,
    retransmissions,
    expire,
    eviction,
    disk,
    paused,
    no_cpu,
    not_running,
    saturated,
    eviction_of_one_key,
    unknown,
)
