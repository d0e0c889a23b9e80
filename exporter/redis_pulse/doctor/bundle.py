"""A support bundle: the report, versions, limits of the host, settings and INFO of each target. It has no secret."""

import io
import json
import os
import platform
import re
import tarfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from redis_pulse import __version__, file_descriptors
from redis_pulse.config import TargetSettings
from redis_pulse.doctor.findings import Findings
from redis_pulse.doctor.plan import Plan
from redis_pulse.doctor.report import as_document
from redis_pulse.masking import HIDDEN, SENSITIVE_NAME, hide, mask

#: Targets whose settings and INFO are written. A bundle stays small.
MAX_TARGETS = 100
#: Characters of one value.
_MAX_VALUE = 500
#: Lines of INFO whose names or values come from users of the server.
_FROM_USERS = re.compile(
    r"cmdstat_|errorstat_|latency_percentiles|db\d|slave\d|module|executable|config_file", re.IGNORECASE
)


def write_bundle(
    file: Path, plan: Plan, subjects: Sequence[Findings], replies: Mapping[str, Mapping[str, str]], exit_code: int
) -> None:
    """Write the bundle as ``.tar.gz``, readable for the user only. Raises OSError."""
    secrets = _secrets(plan.targets)
    parts: dict[str, Any] = {
        "report.json": as_document(subjects, exit_code),
        "host.json": _host(),
        "settings.json": [_settings(target) for target in plan.targets[:MAX_TARGETS]],
        "info.json": {name: _info(fields) for name, fields in list(replies.items())[:MAX_TARGETS]},
    }
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream, tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in parts.items():
            data = _without_secrets(json.dumps(content, indent=2, default=str), secrets).encode()
            member = tarfile.TarInfo(f"redis-pulse-bundle/{name}")
            member.size, member.mtime, member.mode = len(data), int(time.time()), 0o600
            archive.addfile(member, io.BytesIO(data))


def _host() -> dict[str, Any]:
    return {
        "redis_pulse": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "descriptors": file_descriptors.limit(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _settings(target: TargetSettings) -> dict[str, Any]:
    """Return the settings of a target. Secrets of the models are hidden by their type."""
    dumped: dict[str, Any] = target.model_dump(mode="json", exclude={"password", "commands", "labels"})
    dumped["token_source"] = target.token_source and target.token_source.kind  # its words and its user may be secret
    return {name: HIDDEN if name == "username" and value else value for name, value in dumped.items()}


def _info(fields: Mapping[str, str]) -> dict[str, str]:
    return {
        name: HIDDEN if SENSITIVE_NAME.search(name) else value[:_MAX_VALUE]
        for name, value in fields.items()
        if not _FROM_USERS.match(name)
    }


def _secrets(targets: Sequence[TargetSettings]) -> list[str]:
    found = []
    for target in targets:
        try:
            _, password = target.credentials()
        except OSError:
            continue
        if password:
            found.append(password)
    return list(dict.fromkeys(found))


def _without_secrets(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = hide(text, secret)
    return "\n".join(mask(line) for line in text.split("\n"))
