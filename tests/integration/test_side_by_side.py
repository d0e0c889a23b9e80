"""Both exporters on the same servers at the same time have equal names, types, labels and values."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.requirements import need

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_exporters_differ_only_as_documented() -> None:
    exporter = need("prometheus-redis-exporter", "prometheus-redis-exporter")
    server = need("redis-server", "redis-server")
    command = [sys.executable, "bench/compare_exporters.py", "--exporter", exporter, "--server", server]
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    process = subprocess.run(command, check=False, cwd=ROOT, env=env, capture_output=True, text=True, timeout=180)
    print(process.stdout)
    assert process.returncode == 0, "\n".join(
        [line for line in process.stdout.splitlines() if "**no**" in line] + [process.stderr[-2000:]]
    )
