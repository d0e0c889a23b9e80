"""What one value cannot tell: whether settings fit together, and whether the files they name are there."""

from collections.abc import Iterator
from pathlib import Path as FilePath

from redis_pulse.blocking import read_regular_file, regular
from redis_pulse.config.models import (
    BreakerSettings,
    CanarySettings,
    PollSettings,
    ProbeSettings,
    SloSettings,
    TlsSettings,
)
from redis_pulse.config.target import TargetSettings, no_entry, read_password
from redis_pulse.config.types import duration
from redis_pulse.config.url import Endpoint
from redis_pulse.config.validation_errors import closest_duration

#: Group and key, what is wrong, the cure.
ValidationIssue = tuple[tuple[str, str], str, str]


def check_target(target: TargetSettings, *, own_buckets: bool, files: bool = True) -> Iterator[ValidationIssue]:
    """Yield what does not fit together in the settings of a target.

    ``own_buckets``: its buckets are set nearer to it than its SLO is, so they are what must be mended. ``files``:
    whether certificates and keys must be there.
    """
    yield from _slo(target.slo, target.probe, own_buckets=own_buckets)
    yield from _poll(target.poll)
    yield from _breaker(target.breaker)
    yield from _canary(target.canary)
    yield from _tls(target.tls, files=files)


def _slo(slo: SloSettings, probe: ProbeSettings, *, own_buckets: bool) -> Iterator[ValidationIssue]:
    if slo.latency in probe.buckets:
        return
    nearest, edge = closest_duration(slo.latency, probe.buckets), duration(slo.latency)
    if own_buckets:
        yield (
            ("probe", "buckets"),
            f"has no edge at slo.latency, {edge}",
            f"add {edge}, or set slo.latency to one of them: the nearest is {nearest}",
        )
    else:
        yield (
            ("slo", "latency"),
            f"is {edge}, which is not one of probe.buckets",
            f"the nearest is {nearest}",
        )


def _poll(poll: PollSettings) -> Iterator[ValidationIssue]:
    if poll.timeout > poll.interval:
        yield (
            ("poll", "timeout"),
            f"is {duration(poll.timeout)}, longer than poll.interval, {duration(poll.interval)}",
            "a poll must end before the next one begins",
        )
    if poll.max_age < poll.interval:
        yield (
            ("poll", "max_age"),
            f"is {duration(poll.max_age)}, shorter than poll.interval, {duration(poll.interval)}",
            "samples would be too old to serve before the next poll",
        )


def _breaker(breaker: BreakerSettings) -> Iterator[ValidationIssue]:
    if breaker.open_interval > breaker.open_interval_max:
        yield (
            ("breaker", "open_interval"),
            f"is {duration(breaker.open_interval)}, longer than its maximum, {duration(breaker.open_interval_max)}",
            "see breaker.open_interval_max",
        )


def _canary(canary: CanarySettings) -> Iterator[ValidationIssue]:
    if canary.ttl < 2 * canary.interval:
        yield (
            ("canary", "ttl"),
            f"is {duration(canary.ttl)}, shorter than two of canary.interval, {duration(canary.interval)}",
            "the key would be gone before it is written again",
        )


def _tls(tls: TlsSettings, *, files: bool) -> Iterator[ValidationIssue]:
    if tls.cert_reqs == "none" and tls.check_hostname:
        yield ("tls", "check_hostname"), "cannot be true while tls.cert_reqs is none", "leave it out"
    if tls.key_file is not None and tls.cert_file is None:
        yield ("tls", "key_file"), "is the key of no certificate", "set tls.cert_file too"
    for key, file in (("ca_file", tls.ca_file), ("cert_file", tls.cert_file), ("key_file", tls.key_file)):
        if files and file is not None and (trouble := _unreadable(file)):
            yield ("tls", key), trouble, _hint(file)


def check_password_file(file: FilePath, endpoint: Endpoint) -> tuple[str, str] | None:
    """Return what is wrong with a password file, and the cure; None when a password can be read from it."""
    # The path is not shown: more than one person has written the password itself there.
    if trouble := _unreadable(file):
        return trouble, _hint(file)
    try:
        password = read_password(file, endpoint)
    except OSError as error:
        return str(error), ""
    if password is None and not read_regular_file(file, 1 << 20).startswith(b"{"):
        return "names an empty file", ""
    return None


def missing_password(target: TargetSettings) -> str | None:
    """Return a warning when the password file of a target names other servers only: it is asked without a password."""
    file = target.password_file
    if file is None or read_password(file, target.endpoint) is not None:
        return None
    return f"target {target.name}: {no_entry(target.endpoint)}: it is asked without a password"


def _unreadable(file: FilePath) -> str | None:
    try:
        regular(file)  # before it is opened: a FIFO would wait for a writer
        with file.open("rb") as opened:
            opened.read(1)
    except FileNotFoundError:
        return "names a file that does not exist"
    except IsADirectoryError:
        return "names a directory, not a file"
    except (OSError, ValueError) as error:
        return f"names a file that cannot be read: {getattr(error, 'strerror', None) or 'not a path'}"
    return None


def _hint(file: FilePath) -> str:
    return f"looked for in {file.parent}" if file.parent.is_dir() else "its folder is not there either"
