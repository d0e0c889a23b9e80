"""Name the cause of a stall: ``classify(evidence)`` is pure, total, and an ordered table of rules.

Compare ``RULES`` with docs/stalls.md. A rule returns a ``Finding`` or None. A finding has the seconds it explains.

- The first finding that explains at least half of the wait wins, otherwise the one that explains most.
- ``why`` names another cause that explains at least a fifth of the wait.
- A wrong cause is worse than ``unknown``. Evidence that is missing or contradictory therefore ends in ``unknown``.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

from redis_pulse.stalls.evidence import Evidence
from redis_pulse.stalls.facts import CommandTime, Facts, join_names, seconds_text

# fmt: off
Cause = Literal[
    "command", "script", "fork", "disk", "expire", "eviction", "paused", "saturated", "not_running", "network",
    "loading", "restart", "exporter", "unknown",
]
# fmt: on
Certainty = Literal["sure", "likely"]
CAUSES: tuple[Cause, ...] = get_args(Cause)

#: Commands per second that fill the main thread even if each is cheap.
_MANY_PER_SECOND = 5000
#: A command that used less CPU than this share of its time was stopped inside. A contended host may leave it a half.
#: Between the two shares, the evidence contradicts itself.
_STOPPED_SHARE, _DOUBTFUL_SHARE = 0.25, 0.4

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


class Finding(NamedTuple):
    """What one rule found: ``seconds`` of the wait are explained by ``cause``."""

    cause: Cause
    certainty: Certainty
    seconds: float
    why: str
    do: str = ""
    #: The part of ``seconds`` in which the process needs no CPU.
    slept: float = 0.0


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
    winner = next((finding for finding in found if finding.seconds >= 0.5 * facts.wait), None)
    winner = winner or max(found, key=lambda finding: finding.seconds)
    others = [
        f"{finding.cause} ({finding.why})"
        for finding in found
        if finding.cause not in (winner.cause, "unknown") and finding.seconds >= 0.2 * facts.wait
    ]
    why = winner.why + (f"; also {join_names(others)}" if others else "")
    return Verdict(winner.cause, winner.certainty, why, winner.do or _DO[winner.cause])


def _unknown(facts: Facts, why: str, do: str) -> Finding:
    return Finding("unknown", "likely", facts.wait, why, do)


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
    return _unknown(facts, why, "Allow INFO in the ACL of the exporter, and keep stalls.enquire switched on.")


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
    if top is None:
        return None
    took = f"{top.name.upper()} took {seconds_text(top.seconds)} ({top.source})"
    explained = min(top.seconds, facts.wait)
    if not top.may_sleep:
        if facts.cpu is None:
            return _unknown(
                facts, f"{took}, but CPU use is missing", "Allow INFO cpu: it tells a slow command from a stop."
            )
        share = facts.cpu.used / min(top.seconds, facts.cpu.window)
        if share < _STOPPED_SHARE:
            why = f"{took}, but the process used only {seconds_text(facts.cpu.used)} of CPU: stopped inside it"
            return Finding("not_running", "likely", explained, why)
        if (facts.idle or share < _DOUBTFUL_SHARE) and explained >= 0.5 * facts.wait:
            why = f"{took}, but little CPU was used while the pings waited: stopped inside it, or a starved host"
            return _unknown(facts, why, "Compare the CPU of the host with that of the server.")
    if top.is_constant_time and facts.delta("expired_keys") is None:
        return _unknown(facts, f"{took}, and expired_keys is missing", "Allow INFO stats in the ACL of the exporter.")
    cause, certainty = _kind_of(top, facts)
    why = took + (", and keys expired" if cause == "expire" else "")
    return Finding(cause, certainty, explained, why, slept=explained if top.may_sleep else 0.0)


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
    for event in facts.evidence.latency_events or ():
        if event.name.startswith("aof-") and event.milliseconds / 1000 >= max(0.1, 0.5 * facts.wait):
            seconds = min(facts.wait, event.milliseconds / 1000)
            why = f"the latency event {event.name} took {seconds_text(event.milliseconds / 1000)}"
            if event.name == "aof-write-alone" and facts.idle:  # no fsync ran, and a write alone rarely waits
                return _unknown(facts, f"{why}: a disk, or a stop inside the write", "Look at the disk of the AOF.")
            return Finding("disk", "sure", seconds, why, slept=seconds)
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


# By elimination: only what no rule above explains.


def paused(facts: Facts) -> Finding | None:
    """Detect a turning event loop while pings waited. CLIENT PAUSE does not delay the refusal of bad commands."""
    if facts.busy or facts.evidence.malformed_refused is not True:
        return None
    pauses = facts.calls_of("client|pause")[0]
    why = "a malformed command was refused at once while pings waited"
    if pauses:
        certainty: Certainty = "sure" if facts.taken else "likely"
        return Finding("paused", certainty, facts.rest, f"{why}, and CLIENT PAUSE was called", slept=facts.rest)
    if facts.named:
        return None
    return _unknown(
        facts, f"{why}, but commandstats shows no CLIENT PAUSE", "Allow INFO commandstats, and look for a lost reply."
    )


def no_cpu(facts: Facts) -> Finding | None:
    """Stop here without CPU use: busy and stopped look the same."""
    if facts.cpu is not None or facts.named:
        return None
    return _unknown(facts, "no usable CPU time of before and after", "Allow INFO cpu in the ACL of the exporter.")


def not_running(facts: Facts) -> Finding | None:
    """Conclude a stop if the ping arrived, no CPU was used, and nothing was logged."""
    idle = facts.idle_seconds - facts.slept
    if not (idle >= 0.25 * facts.wait if facts.named else facts.idle):
        return None
    if (doubt := _doubt_of_stop(facts)) is not None:
        return None if facts.named else _unknown(facts, *doubt)
    why = f"the ping was taken, but the process did not run for {seconds_text(idle)} and logged nothing for it"
    return Finding("not_running", "likely", idle, why)


def _doubt_of_stop(facts: Facts) -> tuple[str, str] | None:
    """Return what else could explain an idle process, and what would tell; None if nothing could."""
    evidence, after = facts.evidence, facts.after
    knows_loss = evidence.retransmits_before is not None and evidence.retransmits_after is not None
    is_local = "unix" in evidence.missing.get("tcp_info", "")
    if not is_local and not (knows_loss and (facts.taken or evidence.connected is True)):
        return "the process was idle, or the network lost the ping: no TCP_INFO", "TCP_INFO needs Linux and TCP."
    if evidence.malformed_refused is None and (facts.calls_of("client|pause")[0] or not facts.calls):
        return (
            "the process was stopped, or its clients were paused: the test with a malformed command is missing",
            "Switch the malformed command on, and allow INFO commandstats.",
        )
    if not facts.calls and not facts.has_log:
        return "idle, but neither slow log nor commandstats can be read", "Allow SLOWLOG GET and INFO commandstats."
    if sum(seconds for _, seconds in facts.calls.values()) >= 0.5 * facts.wait and not facts.named:
        return (
            "commands took most of the time, but the process got little CPU: starved, saturated, or stopped",
            "Compare the CPU of the host with that of the server.",
        )
    aof = after.text("aof_enabled") if after is not None else None
    knows_disk = after is not None and after.number("eventloop_duration_aof_sum") is not None
    threshold = evidence.latency_threshold or 0
    knows_disk |= evidence.latency_events is not None and 0 < threshold <= 500 * facts.wait
    is_complete = after is not None and after.text("loading") is not None
    if not is_complete or (aof != "0" and not knows_disk):
        return (
            "the process was stopped, or waited for the disk of the AOF: no evidence tells",
            "Set latency-monitor-threshold to 100, and allow LATENCY LATEST and CONFIG GET.",
        )
    return None


def saturated(facts: Facts) -> Finding | None:
    """Conclude saturation if the main thread was busy with commands, and no single one is to blame."""
    if not facts.busy or facts.named or facts.cpu is None:
        return None
    if not facts.calls and not facts.has_log:
        return _unknown(facts, "busy, but neither slow log nor commandstats can be read", "Allow SLOWLOG GET and INFO.")
    if any(facts.delta(name) is None for name in ("evicted_keys", "expired_keys", "expire_cycle_cpu_milliseconds")):
        return _unknown(facts, "busy, and counters of expiry and eviction are missing", "Allow INFO stats.")
    top = facts.beyond_usual()
    if not facts.evidence.slow_entries and not facts.evidence.command_log and top is not None:
        is_one = top.seconds >= 0.3 * facts.wait and top.longest >= max(0.02, 0.05 * facts.wait)
        if is_one or (facts.evidence.slow_entries is None and top.seconds >= 0.3 * facts.wait):
            why = (
                f"busy, {top.name.upper()} used {seconds_text(top.seconds)} beyond the usual, without a slow log entry"
            )
            return _unknown(facts, why, "Allow SLOWLOG GET, and lower slowlog-log-slower-than.")
    spent = sum(seconds for _, seconds in facts.calls.values())
    count = facts.delta("total_commands_processed") or 0.0
    if spent >= 0.3 * facts.wait or count / facts.cpu.window >= _MANY_PER_SECOND:
        why = f"the main thread was busy with {count:.0f} commands, and no single one took long"
        return Finding("saturated", "likely", facts.wait, why)
    return None


def eviction_of_one_key(facts: Facts) -> Finding | None:
    """Blame the eviction of one huge key. The server does not count that time."""
    if not facts.busy or facts.named or not facts.grew("evicted_keys") or facts.grew("expire_cycle_cpu_milliseconds"):
        return None
    why = f"busy outside commands while {facts.delta('evicted_keys') or 0:.0f} keys were evicted"
    return Finding("eviction", "likely", facts.wait, why)


def unknown(facts: Facts) -> Finding | None:
    """Return what the evidence shows, if no rule holds."""
    if facts.named:
        return None
    if facts.busy:
        return _unknown(facts, "the main thread was busy, but not with commands", "Profile the server (perf).")
    share = f"{facts.cpu.low:.0%} to {facts.cpu.high:.0%}" if facts.cpu is not None else "unknown"
    lost = ", the connection was lost, and the same process answers" if facts.evidence.ended_by == "reset" else ""
    why = f"CPU use of {share} is neither busy nor idle, and nothing was logged{lost}"
    return _unknown(facts, why, "Look at CPU limits of the server, and set latency-monitor-threshold to 100.")


RULES: tuple[Callable[[Facts], Finding | None], ...] = (
    exporter,
    loading,
    busy_script,
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
