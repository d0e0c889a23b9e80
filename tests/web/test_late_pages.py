"""The pages for people are imported with the first request for one of them, and not before."""

import subprocess
import sys

from tests.web.fakes import FakeDaemon, client

#: What a daemon with one target, without a file and without logins does not need.
LATE = (
    *("jinja2", "redis_pulse.web.pages", "yaml", "tomllib", "difflib", "re2", "bcrypt"),
    *("redis_pulse.keyspace", "redis_pulse.keyspace_sampling", "redis_pulse.doctor", "redis_pulse.migrate", "dns"),
)
IMPORTS = "import sys, redis_pulse.cli, redis_pulse.daemon, redis_pulse.collectors; redis_pulse.collectors.load()"


def test_start_of_the_daemon_imports_nothing_that_one_target_does_not_need() -> None:
    code = f"{IMPORTS}; print(*sorted(set({LATE!r}) & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


def test_garbage_collector_runs_after_the_imports() -> None:
    code = f"{IMPORTS}; import gc; print(gc.isenabled())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True"]


async def test_first_page_is_complete() -> None:
    async with client(FakeDaemon()) as http:
        first = await http.get("/", headers={"host": "localhost"})
        second = await http.get("/keyspace", headers={"host": "localhost", "accept": "text/html"})
    assert first.status_code == second.status_code == 200
    assert "</html>" in first.text
