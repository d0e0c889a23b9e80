"""Doctor in the process of the tests, so that coverage measures it. The other tests start it as a user does."""

import gc
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from redis_pulse import cli
from tests.integration.servers import RealServer
from tests.integration.test_troubleshooting import write_certificates

Doctor = Callable[..., tuple[int, list[str]]]


@pytest.fixture(autouse=True)
def collect_left_connections() -> Iterator[None]:
    """Let a connection that a run has left be a failure here, and not of a later test."""
    yield
    gc.collect()


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Run doctor, and return its exit code and the codes of all findings."""
    for name in ("REDIS_URL", "REDIS_PASSWORD", "REDIS_PULSE_CONFIG"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str) -> tuple[int, list[str]]:
        capsys.readouterr()
        code = cli.main(["doctor", "--json", *words])
        report: dict[str, Any] = json.loads(capsys.readouterr().out)
        return code, [finding["code"] for subject in report["subjects"] for finding in subject["findings"]]

    return run


def test_healthy_server_has_notes_only(doctor: Doctor, server: RealServer) -> None:
    code, codes = doctor(server.url)
    assert code == 0
    assert {"RP428", "RP504", "RP601"} <= set(codes)


def test_wrong_password_and_poor_permissions_are_named(doctor: Doctor, server: RealServer, tmp_path: Path) -> None:
    server.run("ACL", "SETUSER", "poor", "on", ">secret", "+ping", "+hello")
    password = tmp_path / "password"
    password.write_text("wrong")
    arguments = (server.url, "--username", "poor", "--password-file", str(password))
    assert doctor(*arguments)[0] == 2
    password.write_text("secret")
    code, codes = doctor(*arguments)
    assert code in (1, 2)
    assert any(one.startswith("RP3") for one in codes)


def test_every_target_of_a_configuration_is_examined(doctor: Doctor, server: RealServer, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        targets = [
            {"name": "a", "url": server.url},
            {"name": "gone", "url": f"redis://127.0.0.1:{unused.getsockname()[1]}"},
            {"name": "unknown", "url": "redis://no.such.host.invalid:6379"},
        ]
        found = tmp_path / "found.yaml"
        found.write_text(json.dumps([{"targets": [f"127.0.0.1:{unused.getsockname()[1]}"]}]))
        file = tmp_path / "redis-pulse.yaml"
        file.write_text(
            json.dumps({"targets": targets, "discovery": {"files": [str(found), str(tmp_path / "no.yaml")]}})
        )
        code, codes = doctor("--config", str(file))
    assert code == 2
    assert {"RP201", "RP202"} <= set(codes)


def test_tls_and_other_protocols_are_examined(
    doctor: Doctor, start_server: Callable[..., RealServer], tmp_path: Path
) -> None:
    files = write_certificates(tmp_path)
    server = start_server("redis", tls=files)
    assert "RP220" in doctor(server.url, "--tls-ca-file", str(files[2]))[1]
    assert "RP215" in doctor(server.url)[1]
    assert "RP212" in doctor(f"redis://{server.address}")[1]
    assert "RP211" in doctor(f"rediss://{start_server('redis').address}")[1]


def test_text_for_people_and_the_bundle_are_written(
    server: RealServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "bundle.tar.gz"
    assert cli.main(["doctor", server.url, "--bundle", str(bundle)]) == 0
    assert "0 errors, 0 warnings" in capsys.readouterr().out
    assert bundle.stat().st_size > 0
