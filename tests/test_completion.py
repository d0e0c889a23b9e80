"""Completion and the man page name every command and every option, and the real shells read them."""

import re
import shutil
import subprocess
import sys

import pytest

from redis_pulse import asset_files, calibrate, cli, doctor
from redis_pulse.completion import SHELLS, options_of
from tests.integration.requirements import need


def printed(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_option_is_named(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(shell, capsys).replace("\\-", "-")
    for command in cli.COMMANDS:
        assert command in text
    parsers = (cli._parser(), doctor.parser(), calibrate.parser(), asset_files.parser())
    for option in [option for parser in parsers for option in options_of(parser)]:
        assert (f"-l {option.flag[2:]}" if shell == "fish" else option.flag) in text


def test_unknown_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", "csh"]) == 2
    assert "bash, zsh, fish" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("redis-pulse doc", {"doctor"}),
        ("redis-pulse doctor --js", {"--json"}),
        ("redis-pulse doctor --tls", {"--tls-ca-file", "--tls-cert-file", "--tls-key-file"}),
        ("redis-pulse calibrate --s", {"--seconds"}),
        ("redis-pulse --poll-i", {"--poll-interval"}),
        ("redis-pulse completion b", {"bash"}),
        ("redis-pulse assets --f", {"--force"}),
    ],
)
def test_bash_completes(line: str, expected: set[str], capsys: pytest.CaptureFixture[str]) -> None:
    words = line.split(" ")
    run = (
        f"{printed('bash', capsys)}\nCOMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}\n"
        '_redis_pulse\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    ended = subprocess.run([need("bash", "bash")], input=run, capture_output=True, text=True, check=True, timeout=300)
    assert set(ended.stdout.split()) == expected


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_read_their_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    program = need(shell, shell)
    subprocess.run([program, "-n"], input=printed(shell, capsys), text=True, check=True, timeout=300)


def test_man_page_has_no_warning(capsys: pytest.CaptureFixture[str]) -> None:
    page = printed("man", capsys)
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed: apt-get install groff")
    ended = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8"], input=page, capture_output=True, text=True, check=True, timeout=300
    )
    assert ended.stderr == ""
    shown = re.sub(r"\x1b\[\d+m|.\x08", "", ended.stdout).replace("\u2010", "-").replace("\u2212", "-")
    assert "--fix-acl" in shown


def test_module_prints_completion_as_a_process() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "redis_pulse", "completion", "bash"],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert ended.stdout.startswith("_redis_pulse()")
