"""Every library is pinned with hashes, advisories are never assumed to be absent, and the bills name what is inside."""

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tools import audit, image_digest, sbom

ROOT = Path(__file__).parents[1]
LOCK_FILES = sorted((ROOT / "requirements").glob("*.lock"))
DIGEST = f"sha256:{'ab' * 32}"
needs_tools = pytest.mark.skipif(find_spec("cyclonedx_py") is None, reason="make audit installs the tools")


@pytest.mark.parametrize("lock_file", LOCK_FILES, ids=lambda path: path.name)
def test_each_library_has_one_version_and_hashes(lock_file: Path) -> None:
    entries = lock_file.read_text().replace("\\\n", " ").splitlines()
    requirements = [line for line in entries if line.strip() and not line.startswith("#")]
    assert requirements
    for line in requirements:
        assert re.match(r"[\w.-]+(\[[\w,]+\])?==\S+ ", line), line
        assert "--hash=sha256:" in line, line


def test_all_lock_files_are_known_to_the_audit() -> None:
    assert {path.stem for path in LOCK_FILES} - {"audit"} == set(audit.LOCK_FILES)


def test_every_installation_checks_hashes() -> None:
    """In the Dockerfile and the Makefile. A wheel that was built a moment before has no hash."""
    for name in ("Dockerfile", "Makefile"):
        text = (ROOT / name).read_text().replace("\\\n", " ")
        for command in re.findall(r"pip (?:--python \S+ )?install[^&\n]*", text):
            assert (
                "--require-hashes" in command
                or "--no-index" in command
                or "--editable" in command
                or (command.startswith("pip install --quiet --disable-pip-version-check"))
            ), command
    assert "LOCKED := $(PIP) --no-deps --require-hashes" in (ROOT / "Makefile").read_text()


def library(name: str, **fields: object) -> dict[str, Any]:
    return {"name": name, "version": "1.0", "vulns": [], **fields}


def test_library_that_no_service_knows_is_not_called_safe() -> None:
    """pip-audit ends with 0 if an index has no advisories at all."""
    skipped = {"name": "redis", "skip_reason": "not found on PyPI"}
    result = audit.audit([Path("image.lock")], lambda _file, _service: {"dependencies": [skipped, library("dns")]})
    assert result == audit.Result([], ["redis"])
    text, code = audit.report(result)
    assert "nothing is known about these libraries" in text
    assert code == 2


def test_second_service_is_asked_if_the_first_does_not_reply() -> None:
    replies = {"osv": {"dependencies": [library("redis")]}}
    result = audit.audit([Path("image.lock")], lambda _file, service: replies.get(service))
    assert audit.report(result) == ("no library in the lock files has a known advisory", 0)


def test_no_service_at_all_is_exit_code_2() -> None:
    text, code = audit.report(audit.audit([Path("image.lock")], lambda _file, _service: None))
    assert "all of image.lock" in text
    assert code == 2


def test_advisory_is_exit_code_1() -> None:
    found = library("redis", vulns=[{"id": "PYSEC-1", "fix_versions": ["2.0"]}])
    text, code = audit.report(audit.audit([Path("x.lock")], lambda _file, _service: {"dependencies": [found]}))
    assert (text, code) == ("redis 1.0: PYSEC-1, fixed in 2.0", 1)


@pytest.mark.skipif(find_spec("pip_audit") is None, reason="make audit installs the tools")
def test_pip_audit_without_a_network_has_no_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    lock_file = tmp_path / "x.lock"
    lock_file.write_text(f"redis==8.1.0 --hash=sha256:{'ab' * 32}\n")
    assert audit.run_pip_audit(lock_file, "osv") is None


@needs_tools
def test_bill_of_the_image_has_every_library_and_the_base_image() -> None:
    document = sbom.with_component(
        sbom.libraries(ROOT / "requirements/image.lock"), sbom.base_image((ROOT / "Dockerfile").read_text())
    )
    names = {component["name"] for component in document["components"]}
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements/image.lock").read_text(), re.MULTILINE))
    assert document["bomFormat"] == "CycloneDX"
    assert names == {*locked, "python"}
    assert document["metadata"]["component"]["name"] == "redis-pulse"


def test_base_image_with_a_digest_has_its_hash() -> None:
    assert sbom.base_image(f"ARG BASE=python:3.13@{DIGEST}\n") == {
        "type": "container",
        "bom-ref": "base-image",
        "name": "python",
        "version": "3.13",
        "hashes": [{"alg": "SHA-256", "content": "ab" * 32}],
    }


class _Registry(BaseHTTPRequestHandler):
    """Gives a digest to clients with a token, and the token to everyone."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"token": "anonymous"}).encode())

    def do_HEAD(self) -> None:
        port = self.headers["Host"].rpartition(":")[2]
        if self.path != "/v2/team/python/manifests/3.13":
            self.send_response(404)
        elif self.headers["Authorization"] != "Bearer anonymous":
            self.send_response(401)
            challenge = f'Bearer realm="http://127.0.0.1:{port}/token",service="x",scope="repository:team/python:pull"'
            self.send_header("WWW-Authenticate", challenge)
        else:
            self.send_response(200)
            self.send_header("Docker-Content-Digest", DIGEST)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def registry() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Registry) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_digest_of_a_registry_is_written_after_the_tag(registry: str, tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text(f"ARG BASE={registry}/team/python:3.13\nFROM ${{BASE}}\n")
    assert image_digest.main(file) == 0
    assert file.read_text() == f"ARG BASE={registry}/team/python:3.13@{DIGEST}\nFROM ${{BASE}}\n"
    assert image_digest.main(file) == 0, "a digest is replaced by the newer one"


def test_unreachable_registry_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text("ARG BASE=127.0.0.1:1/python:3.13\n")
    assert image_digest.main(file) == 2
    assert "is unchanged: it names a tag only" in capsys.readouterr().out
    assert file.read_text() == "ARG BASE=127.0.0.1:1/python:3.13\n"


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("python:3.13", image_digest.Image("https://registry-1.docker.io", "library/python", "3.13")),
        ("team/python", image_digest.Image("https://registry-1.docker.io", "team/python", "latest")),
        ("r.example:5000/a/b:1", image_digest.Image("https://r.example:5000", "a/b", "1")),
    ],
)
def test_name_of_an_image_is_read_as_docker_does(text: str, image: image_digest.Image) -> None:
    assert image_digest.parse_image(text) == image


def test_each_target_of_the_makefile_is_described() -> None:
    done = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in (
        "audit",
        "sbom",
        "image-digest",
        "compat-check",
        "compat-record",
        "release-check",
        "workflows-check",
    ):
        assert re.search(rf"^{target} ", done.stdout, re.MULTILINE), done.stdout


def test_each_test_that_the_guarantees_name_exists() -> None:
    names = re.findall(r"`(tests/[\w/]+\.py)`", (ROOT / "SECURITY.md").read_text())
    assert len(names) > 8
    assert [name for name in names if not (ROOT / name).is_file()] == []
