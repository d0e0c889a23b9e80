"""Beside redis_exporter, on the same servers in the same moment: names, types, labels and values are the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.requirements import need

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.integration


def test_what_both_say_of_a_server_is_the_same_but_for_what_the_documentation_names() -> None:
    exporter = need("prometheus-redis-exporter", "prometheus-redis-exporter")
    server = need("redis-server", "redis-server")
    command = [sys.executable, "bench/compare_exporters.py", "--exporter", exporter, "--server", server]
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    found = subprocess.run(command, check=False, cwd=ROOT, env=env, capture_output=True, text=True, timeout=180)
    print(found.stdout)
    assert found.returncode == 0, "\n".join(
        [line for line in found.stdout.splitlines() if "**no**" in line] + [found.stderr[-2000:]]
    )
