"""Doctor names the source of a login that expires, when it ends, and why it is missing."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from tests.doctor.command import doctor
from tests.fakes import FakeServer, error
from tests.integration.servers import RealServer, free_port

StartServer = Callable[..., RealServer]
TOKEN = "token-of-the-test"


def configuration(folder: Path, url: str, code: str) -> str:
    """Write a configuration whose login is printed by some Python, and return its path."""
    credentials = {"command": [sys.executable, "-I", "-S", "-c", code], "timeout": "2s"}
    file = folder / "redis-pulse.yaml"
    file.write_text(json.dumps({"targets": [{"name": "cart", "url": url, "credentials": credentials}]}))
    return str(file)


async def test_source_and_end_of_a_login_are_shown(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("redis", requirepass=TOKEN)
    printed = json.dumps({"username": "default", "password": TOKEN, "expires_at": "2099-01-31T12:00:00Z"})
    run = await doctor("--json", "--config", configuration(tmp_path, server.url, f"print({printed!r})"))
    assert run.codes("error") == []
    why = run.finding("RP307")["why"]
    assert "credentials.command" in why
    assert "2099-01-31 12:00:00 UTC" in why
    assert TOKEN not in run.stdout


async def test_failing_program_is_named_without_its_output(start_server: StartServer, tmp_path: Path) -> None:
    code = f"import sys; print({TOKEN!r}); print({TOKEN!r}, file=sys.stderr); sys.exit(3)"
    run = await doctor("--json", "--config", configuration(tmp_path, start_server("redis").url, code))
    assert (run.codes("error"), run.exit_code) == (["RP306"], 2)  # the server did not answer anything
    assert run.finding("RP306")["command"] == "redis-pulse doctor cart --config FILE"
    assert "exit code 3" in run.finding("RP306")["why"]
    assert TOKEN not in run.stdout


async def test_missing_login_hides_no_other_problem_of_the_way(start_server: StartServer, tmp_path: Path) -> None:
    """Else the user would find one problem after the other."""
    code = "import sys; sys.exit(3)"
    refused = f"redis://127.0.0.1:{free_port()}"
    run = await doctor("--json", "--config", configuration(tmp_path, refused, code))
    assert run.codes("error") == ["RP202", "RP306"]
    plain = start_server("redis").url.replace("redis://", "rediss://")
    run = await doctor("--json", "--config", configuration(tmp_path, plain, code))
    assert run.codes("error") == ["RP211", "RP306"]


async def test_server_is_examined_though_the_password_cannot_be_read(tmp_path: Path) -> None:
    url = f"redis://127.0.0.1:{free_port()}"
    run = await doctor("--json", url, "--password-file", str(tmp_path / "missing"))
    assert run.codes("error") == ["RP103", "RP202"]
    checked = {subject["name"]: subject["checks_done"] for subject in run.document["subjects"]}
    assert "tcp" in checked[url.removeprefix("redis://")]


async def test_hanging_program_leaves_time_for_the_report(start_server: StartServer, tmp_path: Path) -> None:
    code = "import time; time.sleep(600)"
    run = await doctor("--json", "--config", configuration(tmp_path, start_server("redis").url, code))
    assert "did not end within" in run.finding("RP306")["why"]


async def test_busy_identity_service_is_named(tmp_path: Path) -> None:
    async with FakeServer() as server:
        server.script("AUTH", error("ERR (ERR_IAM_EXHAUSTED) Memorystore IAM authentication backend quota exceeded."))
        run = await doctor("--json", "--config", configuration(tmp_path, server.url, f"print({TOKEN!r})"))
    assert "RP308" in run.codes()
    assert TOKEN not in run.stdout
