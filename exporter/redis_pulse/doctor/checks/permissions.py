"""What may our user do? Runs one poll of the daemon's own collectors, and names the commands that are denied."""

from redis_pulse.doctor.acl_lines import ALL_SERVERS, key_rule, server_group
from redis_pulse.doctor.examination import Examination
from redis_pulse.doctor.poll_once import PollResult, poll_once
from redis_pulse.errors import KeyDeniedError, PermissionDeniedError, TargetError

#: Reasons of a failed PING with which INFO still works.
_INFO_WORKS = ("loading", "masterdown")
#: Without these nothing works.
_NEEDED = ("ping", "info")


async def check(examination: Examination) -> bool:
    """Poll once. Report denied commands with the words that grant them, and collectors that fail."""
    found = await examination.connect()
    if isinstance(found.error, PermissionDeniedError):
        _report_needed(examination, found.error.command or "ping")
    elif found.error is not None and found.error.reason not in _INFO_WORKS:
        return False
    result = await poll_once(examination)
    examination.poll = result
    _report_denied(examination, result)
    _report_failing(examination, result)
    if result.unsupported:
        examination.findings.add("collector.unsupported", collectors=", ".join(sorted(result.unsupported)))
    return True


def words_for(commands: list[str]) -> tuple[str, ...]:
    """Return the words of ACL SETUSER that grant these commands, with a rule for keys if they name keys."""
    return (*key_rule(commands), *(f"+{command}" for command in commands))


def _grants(examination: Examination, denied: list[str], collectors: list[str]) -> list[str]:
    """Return the denied commands, and those that the same collectors need next: a poll stops at the first denial.

    A server rejects a line with a command that it lacks, so only commands of all servers are added.
    """
    is_old = examination.server.software == "redis" and examination.server.version.startswith("6.")
    commands = dict.fromkeys(denied)
    for name in collectors:
        for command in examination.collectors[name].commands:
            if server_group(command) == ALL_SERVERS and not (is_old and command.endswith("_ro")):
                commands.setdefault(command)
    return sorted(commands)


def _report_needed(examination: Examination, command: str) -> None:
    examination.findings.add("permission", command=command, words=words_for([command]))


def _report_denied(examination: Examination, result: PollResult) -> None:
    commands = sorted({command for names in result.denied.values() for command in names})
    needed = [command for command in commands if command in _NEEDED]
    for command in needed:
        _report_needed(examination, command)
    if others := [command for command in commands if command not in _NEEDED]:
        collectors = sorted(name for name, names in result.denied.items() if set(names) & set(others))
        granted = _grants(examination, others, collectors)
        examination.findings.add(
            "denied", commands=", ".join(others), collectors=", ".join(collectors), words=words_for(granted)
        )
    if result.denied_keys:
        examination.findings.add("denied.keys", collectors=", ".join(sorted(result.denied_keys)))


def _report_failing(examination: Examination, result: PollResult) -> None:
    """Report the collectors that fail, once for each reason. INFO that fails behind a working PING is a proxy."""
    by_text: dict[str, tuple[list[str], Exception]] = {}
    for name, error in result.failed.items():
        if isinstance(error, PermissionDeniedError | KeyDeniedError):
            continue
        by_text.setdefault(str(error) or type(error).__name__, ([], error))[0].append(name)
    for text, (names, error) in by_text.items():
        if "info" in names and not examination.is_polled and not _is_about_state(error):
            examination.findings.add("protocol.proxy", problem=text)
        elif isinstance(error, TargetError) and _is_about_state(error):
            examination.findings.add(error.reason, problem=text)
        else:
            examination.findings.add("collector.failing", collectors=", ".join(names), problem=text)


def _is_about_state(error: Exception) -> bool:
    """Return whether the error is about the whole server, not about one command."""
    return isinstance(error, TargetError) and (
        (error.unavailable and error.reason not in ("reset", "timeout")) or error.reason in ("too_large", "clusterdown")
    )
