"""``redis-pulse web-config``: it checks a file, and makes a hash that other exporters accept."""

import io
import subprocess
import sys
from pathlib import Path

import bcrypt
import pytest

from redis_pulse.cli import main
from tests.web.certificates import Certificates, write_config

HASH = "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze"


def test_check_says_how_the_pages_are_protected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Certificates(tmp_path).issue("server", "localhost")
    (tmp_path / "token").write_text("token-0123456789-abcdef\n")
    tls = {"cert_file": "server.crt", "key_file": "server.key", "client_ca_file": "ca.crt"}
    path = write_config(
        tmp_path,
        tls_server_config={**tls, "client_auth_type": "RequireAndVerifyClientCert"},
        basic_auth_users={"alice": HASH, "bob": HASH},
        bearer_token_file="token",
        http_server_config={"http2": True},
    )
    assert main(["web-config", "check", str(path)]) == 0
    ok, warning = capsys.readouterr().out.splitlines()
    assert ok == "ok: TLS, a client certificate is required, 2 users, 1 bearer token"
    assert warning.startswith("warning: http2 has no effect")


def test_check_names_every_problem_with_its_location(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "web.yml"
    path.write_text("basic_auth_users:\n  a: hunter2\ntls_server_confg: {}\n")
    assert main(["web-config", "check", str(path)]) == 1
    error = capsys.readouterr().err
    assert f"{path}:2: basic_auth_users.a must be a bcrypt hash" in error
    assert f"{path}:3: tls_server_confg is not a setting (did you mean tls_server_config?)" in error
    assert "hunter2" not in error
    assert main(["web-config", "check", str(tmp_path / "none")]) == 1


@pytest.mark.parametrize("words", [[], ["check"], ["hash", "x"], ["hash", "--cost", "3"], ["hash", "--cost"], ["x"]])
def test_wrong_arguments_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["web-config", *words]) == 2
    assert capsys.readouterr().err


@pytest.mark.parametrize("words", [["--help"], ["hash", "--help"], ["check", "-h"]])
def test_help_is_no_error(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["web-config", *words]) == 0
    assert "redis-pulse web-config hash" in capsys.readouterr().out


def hash_of(data: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "redis_pulse", "web-config", "hash", *words]
    return subprocess.run(command, input=data, capture_output=True, check=False, timeout=300)


@pytest.mark.parametrize("data", [b"s3cret", b"s3cret\n", b"s3cret\r\n", b"s3cret\nsecond line\n"])
def test_hash_of_a_line_of_standard_input(data: bytes) -> None:
    made = hash_of(data, "--cost", "4")
    assert made.returncode == 0
    assert made.stdout.startswith(b"$2b$04$")
    assert bcrypt.checkpw(b"s3cret", made.stdout.strip())


@pytest.mark.parametrize("data", [b"", b"x" * 73])
def test_password_that_cannot_be_hashed_is_refused(data: bytes) -> None:
    made = hash_of(data)
    assert made.returncode == 1
    assert made.stdout == b""
    assert b"xxx" not in made.stderr


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("second", "code"), [("s3cret", 0), ("other", 1)])
def test_terminal_asks_twice(
    second: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(["s3cret", second])
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(answers))
    assert main(["web-config", "hash", "--cost", "4"]) == code
    assert "s3cret" not in "".join(capsys.readouterr())


def test_check_config_checks_the_web_configuration_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_PULSE_SECRETS_DIR", str(tmp_path))
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "c.yaml").write_text("targets: [{url: a}]\nweb: {config_file: web.yml}\n")
    (tmp_path / "etc" / "web.yml").write_text("rate_limit: {interval: 1s}\n")
    assert main(["check-config", "etc/c.yaml"]) == 1
    assert "rate_limit has an interval and no burst" in capsys.readouterr().err
    assert main(["check-config", "--no-secrets", "etc/c.yaml"]) == 0
    write_config(tmp_path / "etc", basic_auth_users={"a": HASH})
    assert main(["check-config", "etc/c.yaml"]) == 0
    assert "warning: web configuration: a login without TLS" in capsys.readouterr().out
