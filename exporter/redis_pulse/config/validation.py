"""Check whether the settings of a target fit together, and whether the files that they name can be read."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from redis_pulse.blocking import read_regular_file, regular_file_status
from redis_pulse.config.credentials import CredentialsSettings
from redis_pulse.config.discovery_models import is_placeholder
from redis_pulse.config.models import (
    BreakerSettings,
    CanarySettings,
    PollSettings,
    ProbeSettings,
    SloSettings,
    TlsSettings,
)
from redis_pulse.config.target import TargetSettings, no_entry, read_password
from redis_pulse.config.types import format_duration
from redis_pulse.config.url import Endpoint
from redis_pulse.config.validation_errors import closest_duration

#: Group and key, message, hint.
ValidationIssue = tuple[tuple[str, str], str, str]


def check_target(target: TargetSettings, *, own_buckets: bool, files: bool = True) -> Iterator[ValidationIssue]:
    """Yield what does not fit together in the settings of a target.

    ``own_buckets`` tells that a stronger layer sets ``probe.buckets`` than ``slo.latency``. The problem is then that of
    the buckets. ``files`` tells whether certificates and keys must exist.
    """
    yield from _check_slo(target.slo, target.probe, own_buckets=own_buckets)
    yield from _check_poll(target.poll)
    yield from _check_breaker(target.breaker)
    yield from _check_canary(target.canary)
    yield from _check_tls(target.tls, files=files)


def _check_slo(slo: SloSettings, probe: ProbeSettings, *, own_buckets: bool) -> Iterator[ValidationIssue]:
    if slo.latency in probe.buckets:
        return
    nearest, edge = closest_duration(slo.latency, probe.buckets), format_duration(slo.latency)
    if own_buckets:
        yield (
            ("probe", "buckets"),
            f"has no edge at slo.latency, {edge}",
            f"add {edge}, or set slo.latency to one of the edges: the nearest is {nearest}",
        )
    else:
        yield (
            ("slo", "latency"),
            f"is {edge}, which is not one of probe.buckets",
            f"the nearest is {nearest}",
        )


def _check_poll(poll: PollSettings) -> Iterator[ValidationIssue]:
    if poll.timeout > poll.interval:
        yield (
            ("poll", "timeout"),
            f"is {format_duration(poll.timeout)}, longer than poll.interval, {format_duration(poll.interval)}",
            "a poll must end before the next one begins",
        )
    if poll.max_age < poll.interval:
        yield (
            ("poll", "max_age"),
            f"is {format_duration(poll.max_age)}, shorter than poll.interval, {format_duration(poll.interval)}",
            "samples would be too old to serve before the next poll",
        )
    if poll.min_interval > poll.interval:
        yield (
            ("poll", "min_interval"),
            f"is {format_duration(poll.min_interval)}, longer than poll.interval, {format_duration(poll.interval)}",
            "it is the shortest time between two polls, and poll.interval is the longest",
        )


def _check_breaker(breaker: BreakerSettings) -> Iterator[ValidationIssue]:
    if breaker.open_interval > breaker.open_interval_max:
        interval, maximum = format_duration(breaker.open_interval), format_duration(breaker.open_interval_max)
        yield (
            ("breaker", "open_interval"),
            f"is {interval}, longer than its maximum, {maximum}",
            "see breaker.open_interval_max",
        )


def _check_canary(canary: CanarySettings) -> Iterator[ValidationIssue]:
    if canary.ttl < 2 * canary.interval:
        yield (
            ("canary", "ttl"),
            f"is {format_duration(canary.ttl)}, shorter than twice canary.interval, {format_duration(canary.interval)}",
            "the key would expire before it is written again",
        )


def _check_tls(tls: TlsSettings, *, files: bool) -> Iterator[ValidationIssue]:
    if tls.cert_reqs == "none" and tls.check_hostname:
        yield ("tls", "check_hostname"), "cannot be true with tls.cert_reqs: none", "leave it out"
    if tls.key_file is not None and tls.cert_file is None:
        yield ("tls", "key_file"), "has no certificate", "set tls.cert_file too"
    for key, file in (("ca_file", tls.ca_file), ("cert_file", tls.cert_file), ("key_file", tls.key_file)):
        if files and file is not None and (error := _file_error(file)):
            yield ("tls", key), error, _folder_hint(file)


def check_password_file(file: Path, endpoint: Endpoint) -> tuple[str, str] | None:
    """Return the message and the hint for an unusable password file, or None if it has a password."""
    # Do not show the path: some users write the password itself there.
    if error := _file_error(file):
        return error, _folder_hint(file)
    try:
        password = read_password(file, endpoint)
    except OSError as read_error:
        return str(read_error), ""
    if password is None and not read_regular_file(file, 1 << 20).startswith(b"{"):
        return "names an empty file", ""
    return None


def missing_password(target: TargetSettings) -> str | None:
    """Return a warning if the password file of a target has no entry for its server, or None."""
    file = target.password_file
    if file is None or is_placeholder(target.endpoint) or read_password(file, target.endpoint) is not None:
        return None
    return f"target {target.name}: {no_entry(target.endpoint)}: no password is sent"


#: The library of each cloud. ``redis-pulse[aws]`` installs that of AWS.
_LIBRARIES = {"aws": "botocore", "azure": "azure.identity", "google": "google.auth"}


def check_token_source(source: CredentialsSettings) -> tuple[str, str] | None:
    """Return the message and the hint for a source of logins that cannot work on this machine, or None."""
    if source.command is not None:
        if which(source.command[0].get_secret_value()) is None:
            return "names a program that is not found, or that may not be executed", "write its whole path"
        return None
    library = _LIBRARIES[source.kind]
    if not _is_installed(library):
        return f"needs the library {library}, which is not installed", f"pip install 'redis-pulse[{source.kind}]'"
    return None


def _is_installed(library: str) -> bool:
    try:
        return find_spec(library) is not None
    except ModuleNotFoundError:  # the package above it
        return False


def _file_error(file: Path) -> str | None:
    """Return why a file cannot be read, or None."""
    try:
        regular_file_status(file)  # first: opening a FIFO would wait for a writer
        with file.open("rb") as opened:
            opened.read(1)
    except FileNotFoundError:
        return "names a file that does not exist"
    except IsADirectoryError:
        return "names a directory, not a file"
    except (OSError, ValueError) as error:
        return f"names a file that cannot be read: {getattr(error, 'strerror', None) or 'not a path'}"
    return None


def _folder_hint(file: Path) -> str:
    return f"looked for in {file.parent}" if file.parent.is_dir() else "its folder does not exist either"
