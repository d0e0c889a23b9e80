"""Runs ``redis-pulse doctor`` as a user does: as a process with its own environment."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.patience import at_most

ROOT = Path(__file__).parents[2]
#: Seconds for one run on a slow and busy machine. The command itself ends after about 10 s.
PATIENCE = 90.0
COMMAND = (sys.executable, "-m", "redis_pulse", "doctor")
#: The code of a busy machine. It is right, but it says nothing about the server of a test.
BUSY = "RP602"


class Run(NamedTuple):
    """The end of one run."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON of the run. Nothing else may be on either stream."""
        assert self.stderr == "", self.stderr
        document: dict[str, Any] = json.loads(self.stdout)
        return document

    @property
    def findings(self) -> list[dict[str, Any]]:
        """All findings, of every subject."""
        return [finding for subject in self.document["subjects"] for finding in subject["findings"]]

    def codes(self, *severities: str) -> list[str]:
        """Return the codes with one of these severities, warnings and errors by default. ``BUSY`` is left out."""
        wanted = severities or ("warning", "error")
        found = [finding["code"] for finding in self.findings if finding["severity"] in wanted]
        return [code for code in found if code != BUSY]

    def finding(self, code: str) -> dict[str, Any]:
        """Return the first finding with a code."""
        return next(finding for finding in self.findings if finding["code"] == code)


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of a run: nothing of the shell except what Python needs."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT / "exporter"), **variables}


async def doctor(*words: str, prefix: Sequence[str] = (), folder: Path | None = None, **variables: str) -> Run:
    """Run doctor, and return its end."""
    process = await asyncio.create_subprocess_exec(
        *prefix,
        *COMMAND,
        *words,
        cwd=folder or "/",
        env=environment(**variables),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with at_most(PATIENCE):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise AssertionError(f"doctor did not end: {words}") from None
    assert process.returncode is not None
    return Run(process.returncode, out.decode(), err.decode())
