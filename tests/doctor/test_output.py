"""The output of doctor: text on a terminal, JSON for programs, exit codes, bad arguments, interruptions."""

import asyncio
import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redis_pulse.advice import TABLE
from tests.doctor.command import COMMAND, PATIENCE, doctor, environment
from tests.doctor.peers import speaking
from tests.doctor.schema import problems
from tests.integration.servers import RealServer, free_port

StartServer = Callable[..., RealServer]


@pytest.fixture
def server(start_server: StartServer) -> RealServer:
    return start_server("redis")


async def test_json_follows_its_schema(server: RealServer) -> None:
    run = await doctor("--json", server.url, f"redis://127.0.0.1:{free_port()}")
    assert list(problems(run.document)) == []
    assert [len(one["findings"]) > 0 for one in run.document["subjects"]] == [True, True]
    assert run.document["counts"]["error"] == 1


async def test_fail_on_error_makes_a_warning_harmless(server: RealServer) -> None:
    server.run("ACL", "SETUSER", "poor", "on", ">pa55w0rd-x", "+@all", "-latency")
    words = (server.url, "--username", "poor")
    assert (await doctor(*words, REDIS_PASSWORD="pa55w0rd-x")).exit_code == 1
    assert (await doctor(*words, "--fail-on", "error", REDIS_PASSWORD="pa55w0rd-x")).exit_code == 0
    assert (await doctor("redis://127.0.0.1:1", "--fail-on", "error")).exit_code == 2


async def test_help_fits_one_screen() -> None:
    run = await doctor("--help", COLUMNS="80")
    assert run.exit_code == 0
    lines = run.stdout.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 95


async def test_list_names_every_code() -> None:
    run = await doctor("--list")
    assert (run.exit_code, run.stderr) == (0, "")
    assert [line.split()[0] for line in run.stdout.splitlines()] == [row.code for row in TABLE]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nonsense"], "unrecognized arguments"),
        (["redis://:pa55w0rd@a:99999"], "TARGET must have a port"),
        (["reddis://a:1"], "did you mean redis://"),
        (["--send-test-alert"], "--send-test-alert needs --alertmanager"),
        (["--prometheus", "ftp://a"], "--prometheus must be a URL"),
        (["--prometheus", "http://u:pa55w0rd/x@a:9090"], "--prometheus must be a URL"),
        (["--fail-on", "note"], "invalid choice"),
    ],
)
async def test_wrong_arguments_exit_with_3(words: list[str], message: str) -> None:
    run = await doctor(*words)
    assert (run.exit_code, run.stdout) == (3, "")
    assert message in run.stderr
    assert "pa55w0rd" not in run.stderr
    assert "Traceback" not in run.stderr


async def test_unknown_name_of_a_target_is_a_wrong_argument(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("targets: [{name: cart, url: 'redis://127.0.0.1:1'}]\n")
    run = await doctor("kart", "--config", str(file))
    assert (run.exit_code, run.stdout) == (3, "")
    assert "did you mean cart?" in run.stderr


async def test_name_with_an_unusable_configuration_shows_what_is_wrong_in_it(tmp_path: Path) -> None:
    """No name is known then. A hint about the name would hide the cause."""
    file = tmp_path / "config.yaml"
    file.write_text("targets: [{nme: cart, url: 'redis://127.0.0.1:1'}]\n")
    for name in ("cart", "eu/cart"):
        run = await doctor("--json", name, "--config", str(file))
        assert (run.codes(), run.exit_code) == (["RP101"], 2)


async def test_password_file_that_is_missing_is_an_unreadable_secret(server: RealServer, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    run = await doctor("--json", server.url, "--password-file", str(gone))
    assert (set(run.codes()), run.exit_code) == ({"RP103"}, 2)
    assert run.finding("RP103")["command"] == f"ls -l {gone}"


async def test_named_target_is_examined_alone(server: RealServer, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"targets: [{{name: cart, url: '{server.url}'}}, {{name: gone, url: 'redis://127.0.0.1:1'}}]\n")
    run = await doctor("--json", "cart", "--config", str(file))
    assert run.exit_code == 0
    assert "gone" not in [one["name"] for one in run.document["subjects"]]


async def test_text_fits_forty_columns_except_for_commands(server: RealServer) -> None:
    run = await doctor(server.url, "redis://127.0.0.1:1", COLUMNS="40")
    commands = [line for line in run.stdout.splitlines() if line.startswith("        ")]
    assert any("CONFIG SET" in line for line in commands)
    assert max(len(line) for line in run.stdout.splitlines() if line not in commands) <= 40


async def test_ascii_terminal_gets_no_error(server: RealServer) -> None:
    run = await doctor(server.url, PYTHONIOENCODING="ascii", LC_ALL="C")
    assert (run.exit_code, run.stderr) == (0, "")


async def test_closed_pipe_ends_quietly(server: RealServer) -> None:
    command = f"{' '.join(COMMAND)} {server.url} | true; echo ${{PIPESTATUS[0]}}"
    ended = await asyncio.to_thread(
        subprocess.run, ["bash", "-c", command], env=environment(), capture_output=True, timeout=PATIENCE, text=True
    )
    assert ended.stderr == ""
    assert ended.stdout.strip() in ("0", "1")  # the reader may end before or after the report


@pytest.mark.parametrize(("closed", "expected"), [(">&-", ""), ("2>&-", "RP202")])
async def test_closed_stream_is_no_error(closed: str, expected: str) -> None:
    command = f"{' '.join(COMMAND)} redis://127.0.0.1:1 {closed}"
    ended = await asyncio.to_thread(
        subprocess.run, ["bash", "-c", command], env=environment(), capture_output=True, timeout=PATIENCE, text=True
    )
    assert (ended.returncode, ended.stderr) == (2, "")
    assert expected in ended.stdout


def test_progress_is_shown_on_a_terminal_only(server: RealServer) -> None:
    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, server.url], env=environment(NO_COLOR="1"), stdout=subprocess.PIPE, stderr=secondary, cwd="/"
    )
    os.close(secondary)
    out, _ = process.communicate(timeout=PATIENCE)
    shown = b""
    with contextlib.suppress(OSError):
        while part := os.read(primary, 4096):
            shown += part
    os.close(primary)
    assert b"1 of 1 targets" in shown
    assert shown.endswith(b"\r\x1b[K")
    assert b"targets\r" not in out


async def test_interrupt_prints_what_is_known(tmp_path: Path) -> None:
    """Silent servers hold the run for long. The findings of the other target are printed all the same."""
    async with speaking(b"", "0.0.0.0") as port:  # a test on this host
        silent = ", ".join(f"{{name: s{n}, url: 'redis://127.0.0.{n}:{port}'}}" for n in range(1, 250))
        file = tmp_path / "config.yaml"
        file.write_text(f"targets: [{{name: refused, url: 'redis://127.0.0.1:1'}}, {silent}]\n")
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            "--config",
            str(file),
            env=environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # A shell starts a job in the background with this signal ignored, and its children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        while not _has_client(port):
            await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 130
    assert b"RP202" in out
    assert b"interrupted" in err
    assert b"Traceback" not in err


def _has_client(port: int) -> bool:
    table = Path("/proc/net/tcp").read_text()
    return re.search(rf":{port:04X} \w+:\w+ 01", table) is not None


async def test_bundle_holds_the_report_and_no_secret(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("redis", requirepass="s3cret-of-the-test")
    file = tmp_path / "bundle.tar.gz"
    url = f"redis://:s3cret-of-the-test@{server.address}"
    run = await doctor(url, "--bundle", str(file))
    assert run.exit_code == 1
    assert file.stat().st_mode & 0o077 == 0
    texts = {}
    with tarfile.open(file) as archive:
        for member in archive.getmembers():
            stream = archive.extractfile(member)
            assert stream is not None
            texts[member.name.rpartition("/")[2]] = stream.read().decode()
    assert set(texts) == {"report.json", "host.json", "settings.json", "info.json"}
    assert "s3cret-of-the-test" not in "".join(texts.values())
    info: dict[str, Any] = json.loads(texts["info.json"])
    assert next(iter(info.values()))["redis_version"] == server.run("INFO", "server")["redis_version"]
    assert list(problems(json.loads(texts["report.json"]))) == []


async def test_bundle_that_cannot_be_written_costs_no_report(tmp_path: Path) -> None:
    run = await doctor("redis://127.0.0.1:1", "--bundle", str(tmp_path / "nowhere" / "bundle.tar.gz"))
    assert run.exit_code == 3
    assert "RP202" in run.stdout
    assert "--bundle cannot be written: No such file or directory" in run.stderr


async def test_hostile_names_are_inert(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text('targets: [{name: "a\\x1b[31m\\u202eb", url: "redis://127.0.0.1:1"}]\n')
    run = await doctor("--config", str(file))
    assert "RP202" in run.stdout or "RP101" in run.stdout
    assert not {"\x1b", "\u202e"} & set(run.stdout + run.stderr)


async def test_many_unreachable_targets_are_examined_at_once(tmp_path: Path) -> None:
    """The order of the report is that of the configuration."""
    targets = ", ".join(f"{{name: t{n}, url: 'redis://127.0.0.1:{n + 1}'}}" for n in range(300))
    file = tmp_path / "config.yaml"
    file.write_text(f"listen: 127.0.0.1:{free_port()}\ntargets: [{targets}]\n")
    run = await doctor("--json", "--config", str(file))
    assert run.codes("error") == ["RP202"] * 300
    named = [one["name"] for one in run.document["subjects"] if re.fullmatch(r"t\d+", one["name"])]
    assert named[:300] == [f"t{n}" for n in range(300)]
