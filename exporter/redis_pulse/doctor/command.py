"""The command ``redis-pulse doctor``: its arguments, its run, and its output."""

import argparse
import asyncio
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from redis_pulse import log
from redis_pulse.advice import TABLE
from redis_pulse.collectors import Collector
from redis_pulse.doctor import acl_lines
from redis_pulse.doctor.bundle import write_bundle
from redis_pulse.doctor.findings import Findings, exit_code
from redis_pulse.doctor.http import HttpClient
from redis_pulse.doctor.plan import (
    Plan,
    ReadConfig,
    TlsFiles,
    WrongArgumentsError,
    add_target_options,
    loader,
    make_plan,
)
from redis_pulse.doctor.report import as_json, as_text
from redis_pulse.doctor.run import Doctor, Progress
from redis_pulse.terminal import QuietParser, forget_stdout, write

WRONG_ARGUMENTS = 3
INTERRUPTED = 130
DESCRIPTION = """\
Examines targets end to end and says what is wrong, why it matters, and what to do.
TARGET is a URL, or the name of a target of --config. Without one: the targets of the daemon.
It changes nothing on any server, and takes at most 10 s for a target.
"""
EPILOG = """\
exit codes: 0 notes at most, 1 a warning, 2 an error, 3 wrong arguments, 130 Ctrl-C
"""


class _Parser(QuietParser):
    wrong_arguments = WRONG_ARGUMENTS


def parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments."""
    made = _Parser(
        prog="redis-pulse doctor",
        usage="redis-pulse doctor [TARGET…] [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument
    add_target_options(made)
    add("--prometheus", metavar="URL", help="also examine this Prometheus: scrapes, labels, rules")
    add("--alertmanager", metavar="URL", help="also examine where this Alertmanager sends alerts")
    add("--send-test-alert", action="store_true", help="send one alert that ends after 1 minute")
    add("--fix-acl", action="store_true", help="print the ACL line with the least permissions")
    add("--json", action="store_true", help="print JSON and nothing else (docs/doctor.md)")
    add("--list", action="store_true", help="list all codes, and examine nothing")
    add(
        "--fail-on",
        choices=("warning", "error"),
        default="warning",
        metavar="LEVEL",
        help="error: a warning exits with 0 (default: warning)",
    )
    add("--bundle", metavar="FILE", type=Path, help="also write a support bundle (.tar.gz) without secrets")
    return made


def run(words: Sequence[str], read: ReadConfig, environ: Mapping[str, str], collectors: Mapping[str, Collector]) -> int:
    """Run the command and return its exit code."""
    arguments = parser().parse_args(words)
    try:
        return _run(arguments, read, environ, collectors)
    except WrongArgumentsError as error:
        sys.stderr.write(f"redis-pulse doctor: {error}\nTry redis-pulse doctor --help.\n")
        return WRONG_ARGUMENTS
    except BrokenPipeError:
        forget_stdout()
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(
    arguments: argparse.Namespace, read: ReadConfig, environ: Mapping[str, str], collectors: Mapping[str, Collector]
) -> int:
    if arguments.list:
        write("".join(f"{row.code} {row.severity:7} {row.title}\n" for row in TABLE))
        return 0
    if arguments.send_test_alert and not arguments.alertmanager:
        raise WrongArgumentsError("--send-test-alert needs --alertmanager URL")
    log.setup("critical", stream=sys.stderr)  # what the daemon would log is in the findings
    prometheus, alertmanager = _http(arguments, "prometheus"), _http(arguments, "alertmanager")
    file = arguments.config or environ.get("REDIS_PULSE_CONFIG") or ""
    plan = make_plan(arguments.targets, file, loader(arguments, read, environ), _tls(arguments))
    doctor = Doctor(
        plan,
        collectors,
        Progress(None if arguments.json or not sys.stderr.isatty() else sys.stderr),
        prometheus=prometheus,
        alertmanager=alertmanager,
        send_test_alert=arguments.send_test_alert,
    )
    interrupted = False
    try:
        asyncio.run(doctor.run())
    except KeyboardInterrupt:
        interrupted = True
    subjects = doctor.subjects
    if arguments.fix_acl:
        _add_acl_lines(plan, doctor, collectors)
    code = INTERRUPTED if interrupted else exit_code(subjects, arguments.fail_on)
    if arguments.json:
        write(as_json(subjects, code))
    else:
        colour = sys.stdout.isatty() and not environ.get("NO_COLOR")
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() or environ.get("COLUMNS") else 100
        write(as_text(subjects, columns, colour=colour))
        if interrupted:
            sys.stderr.write("redis-pulse doctor: interrupted; the report is not complete\n")
    if arguments.bundle is not None:  # last, so that a full disk does not cost the report
        _bundle(arguments, plan, subjects, doctor.replies, code)
    return code


def _http(arguments: argparse.Namespace, name: str) -> HttpClient | None:
    url = getattr(arguments, name)
    if url is None:
        return None
    try:
        return HttpClient.from_url(url, arguments.tls_ca_file)
    except ValueError as error:
        raise WrongArgumentsError(f"--{name} {error}") from None


def _tls(arguments: argparse.Namespace) -> TlsFiles:
    if arguments.tls_key_file and not arguments.tls_cert_file:
        raise WrongArgumentsError("--tls-key-file needs --tls-cert-file")
    return TlsFiles(arguments.tls_ca_file, arguments.tls_cert_file, arguments.tls_key_file)


def _add_acl_lines(plan: Plan, doctor: Doctor, collectors: Mapping[str, Collector]) -> None:
    """Add the ACL line with the least permissions to each examined target. Nothing is sent to a server."""
    for target in plan.targets:
        findings = doctor.findings_of(target.name)
        if findings is None:
            continue
        names = list(target.collectors or [name for name, one in collectors.items() if one.default])
        chosen = [collectors[name] for name in names if name in collectors]
        words = acl_lines.line_for(doctor.server_of(target.name), chosen, target.db).split()
        words[2] = target.username or acl_lines.USER
        findings.check = "acl"
        findings.add("acl.line", line=tuple(words))


def _bundle(
    arguments: argparse.Namespace,
    plan: Plan,
    subjects: Sequence[Findings],
    replies: Mapping[str, Mapping[str, str]],
    code: int,
) -> None:
    try:
        write_bundle(arguments.bundle, plan, subjects, replies, code)
    except OSError as error:
        raise WrongArgumentsError(f"--bundle cannot be written: {error.strerror or error}") from None
    if not arguments.json:
        sys.stderr.write("redis-pulse doctor: wrote the support bundle; read it before you send it\n")
