"""The last rules of ``causes``: they conclude by elimination, only from what no rule above explains."""

from redis_pulse.stalls.facts import Facts, seconds_text
from redis_pulse.stalls.findings import Certainty, Finding, undecided

#: Commands per second that fill the main thread even if each is cheap.
_MANY_PER_SECOND = 5000
#: A command that ran for so long may have delayed the answer to the malformed command.
_HIDES_TEST = 0.1


def paused(facts: Facts) -> Finding | None:
    """Detect a turning event loop while pings waited. CLIENT PAUSE does not delay the refusal of bad commands."""
    pauses, refused = facts.calls_of("client|pause")[0], facts.evidence.malformed_refused is True
    if facts.busy and not (pauses and refused):  # CPU that a command used just before the wait may look like its own
        return None
    if not refused:
        idle = facts.idle_seconds - facts.slept
        if not pauses or facts.logged_overlap() < _HIDES_TEST or idle < 0.25 * facts.wait:
            return None
        why = f"CLIENT PAUSE was called, and the process was idle for {seconds_text(idle)} beside a command"
        return Finding("paused", "likely", idle, why, slept=idle)
    why = "a malformed command was refused at once while pings waited"
    if pauses:
        certainty: Certainty = "sure" if facts.taken else "likely"
        return Finding("paused", certainty, facts.rest, f"{why}, and CLIENT PAUSE was called", slept=facts.rest)
    if facts.named:
        return None
    return undecided(
        facts, f"{why}, but commandstats shows no CLIENT PAUSE", "Allow INFO commandstats, and look for a lost reply."
    )


def no_cpu(facts: Facts) -> Finding | None:
    """Stop here without CPU use: busy and stopped look the same."""
    if facts.cpu is not None or facts.named:
        return None
    return undecided(facts, "no usable CPU time of before and after", "Allow INFO cpu in the ACL of the exporter.")


def not_running(facts: Facts) -> Finding | None:
    """Conclude a stop if the ping arrived, no CPU was used, and nothing was logged."""
    idle = facts.idle_seconds - facts.slept
    if not (idle >= 0.25 * facts.wait if facts.named else facts.idle):
        return None
    idle = min(idle, facts.wait - facts.reply_held, facts.rest)
    if facts.reply_held >= 0.5 * facts.wait:
        why = f"INFO is of {seconds_text(facts.reply_held)} before the end: what ran after it is not known"
        return undecided(facts, why, "Nothing is missing; it depends on the moment.")
    if (doubt := _doubt_of_pause(facts) or _doubt_of_stop(facts)) is not None:
        return None if facts.named else undecided(facts, *doubt)
    why = f"the ping was taken, but the process did not run for {seconds_text(idle)} and logged nothing for it"
    return Finding("not_running", "likely", idle, why)


def _doubt_of_pause(facts: Facts) -> tuple[str, str] | None:
    """Return why the clients may have been paused instead, and what would tell; None if they were not."""
    refused = facts.evidence.malformed_refused
    if refused is True:
        return "the event loop turned while pings waited", "Allow INFO commandstats, which shows a CLIENT PAUSE."
    is_tested = refused is not None and facts.knows_log and facts.logged_overlap() < _HIDES_TEST
    if not is_tested and (facts.calls_of("client|pause")[0] or not facts.calls):
        return (
            "the process was stopped, or its clients were paused: the test with a malformed command is missing",
            "Switch the malformed command on, and allow INFO commandstats.",
        )
    return None


def _doubt_of_stop(facts: Facts) -> tuple[str, str] | None:
    """Return what else could explain an idle process, and what would tell; None if nothing could."""
    evidence, after = facts.evidence, facts.after
    knows_loss = evidence.retransmits_before is not None and evidence.retransmits_after is not None
    is_local = "unix" in evidence.missing.get("tcp_info", "")
    if not is_local and not (knows_loss and (facts.taken or evidence.connected is True)):
        return "the process was idle, or the network lost the ping: no TCP_INFO", "TCP_INFO needs Linux and TCP."
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
    knows_disk &= facts.delta("aof_delayed_fsync") is not None
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
        return undecided(
            facts, "busy, but neither slow log nor commandstats can be read", "Allow SLOWLOG GET and INFO."
        )
    if any(facts.delta(name) is None for name in ("evicted_keys", "expired_keys", "expire_cycle_cpu_milliseconds")):
        return undecided(facts, "busy, and counters of expiry and eviction are missing", "Allow INFO stats.")
    top = facts.beyond_usual()
    if not facts.evidence.slow_entries and not facts.evidence.command_log and top is not None:
        is_one = top.seconds >= 0.3 * facts.wait and top.longest >= max(0.02, 0.05 * facts.wait)
        if is_one or (facts.evidence.slow_entries is None and top.seconds >= 0.3 * facts.wait):
            why = (
                f"busy, {top.name.upper()} used {seconds_text(top.seconds)} beyond the usual, without a slow log entry"
            )
            return undecided(facts, why, "Allow SLOWLOG GET, and lower slowlog-log-slower-than.")
    spent = sum(seconds for _, seconds in facts.calls.values())
    count = facts.delta("total_commands_processed") or 0.0
    if spent >= 0.3 * facts.wait or count / facts.cpu.window >= _MANY_PER_SECOND:
        why = f"the main thread was busy with {count:.0f} commands, and no single one took long"
        return Finding("saturated", "likely", facts.wait, why)
    return None


def eviction_of_one_key(facts: Facts) -> Finding | None:
    """Blame the eviction of one huge key. The server does not count that time."""
    expiry = (facts.delta("expire_cycle_cpu_milliseconds") or 0.0) / 1000
    if not facts.busy or facts.named or not facts.grew("evicted_keys") or expiry >= 0.05 * facts.wait:
        return None
    why = f"busy outside commands while {facts.delta('evicted_keys') or 0:.0f} keys were evicted"
    return Finding("eviction", "likely", facts.wait, why)


def unknown(facts: Facts) -> Finding | None:
    """Return what the evidence shows, if no rule holds."""
    if facts.named:
        return None
    if facts.busy:
        return undecided(facts, "the main thread was busy, but not with commands", "Profile the server (perf).")
    share = f"{facts.cpu.low:.0%} to {facts.cpu.high:.0%}" if facts.cpu is not None else "unknown"
    lost = ", the connection was lost, and the same process answers" if facts.evidence.ended_by == "reset" else ""
    why = f"CPU use of {share} is neither busy nor idle, and nothing was logged{lost}"
    return undecided(facts, why, "Look at CPU limits of the server, and set latency-monitor-threshold to 100.")
