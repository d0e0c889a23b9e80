"""Can the configuration be used, with all its secrets? Reports each problem with its location."""

import re
from collections.abc import Iterable
from pathlib import Path

from redis_pulse.config import LoadedConfig, Problem, TargetSettings
from redis_pulse.doctor.findings import Findings

_SECRET_SETTING = re.compile(r"password[_-]file|cert_file|key_file|ca_file|token_file|secrets", re.IGNORECASE)
_UNREADABLE = re.compile(
    r"does not exist|cannot be read|empty file|not a regular file|a directory|permission|not UTF-8", re.IGNORECASE
)
_SHOWN_TO_USERS = "can see the password in"
_NO_TARGET = "no target is set"


def add_problems(findings: Findings, problems: Iterable[Problem], loaded: LoadedConfig | None) -> None:
    """Add a finding for each problem. ``loaded`` is the configuration without its secrets, if it is usable so."""
    for problem in problems:
        text = f"{problem.message} ({problem.hint})" if problem.hint else problem.message
        key = "secret.unreadable" if is_about_secret(problem) else "config.unusable"
        findings.add(key, location=problem.location, problem=text, path=_path_of(problem, loaded))


def _path_of(problem: Problem, loaded: LoadedConfig | None) -> str:
    """Return the file that a problem is about. Messages do not repeat it."""
    if problem.location == "--password-file" and loaded is not None:
        return next((str(target.password_file) for target in loaded.targets if target.password_file), "PATH")
    match = re.search(r"targets\[(\d+)\].*?(\w+_file)", f"{problem.location} {problem.message}")
    if match is None or loaded is None or int(match[1]) >= len(loaded.settings.targets):
        return "PATH"
    entry = loaded.settings.targets[int(match[1])]
    return str(getattr(entry, match[2], None) or getattr(entry.tls, match[2], None) or "PATH")


def is_about_secret(problem: Problem) -> bool:
    """Return whether a secret cannot be read, and the rest of the configuration may be right."""
    text = f"{problem.location} {problem.message}"
    return bool(_SECRET_SETTING.search(text) and _UNREADABLE.search(text))


def add_warnings(findings: Findings, loaded: LoadedConfig) -> None:
    """Add a finding for each warning of a usable configuration."""
    for warning in loaded.warnings:
        if _SHOWN_TO_USERS in warning:
            findings.add("url.password")
        elif warning.startswith(_NO_TARGET):
            findings.add("config.default_target", problem=warning)
        else:
            findings.add("config.warning", problem=warning)


def add_unreadable_secrets(findings: Findings, targets: Iterable[TargetSettings]) -> set[Path]:
    """Read the password file of each target now. The loader checks only that it exists. Return the unreadable ones."""
    unreadable = set()
    for target in targets:
        try:
            target.credentials()
        except OSError as error:
            if target.password_file is not None:
                unreadable.add(target.password_file)
            if any(str(target.password_file) in finding.advice.command for finding in findings):
                continue  # the loader has named it, with its line
            findings.add(
                "secret.unreadable",
                location=target.name,
                problem=f"password_file: {error.strerror or error}",
                path=str(target.password_file),
            )
    return unreadable
