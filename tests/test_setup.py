"""Set-up from the lock files: a release that somebody publishes tomorrow changes nothing."""

import base64
import hashlib
import importlib.metadata
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: Later than any version that a lock names.
TOMORROW = "9999!1"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Makefile beside dev.lock, whose packages are all empty here, in an index that has a newer one of each."""
    root = tmp_path_factory.mktemp("project")
    (root / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    (root / "requirements").mkdir()
    lines = []
    for name, version, marker in locked("dev"):
        page = root / "index" / name
        page.mkdir(parents=True)
        digest = write_wheel(page, name, version)
        write_wheel(page, name, TOMORROW)
        links = "".join(f'<a href="{wheel.name}">{wheel.name}</a>\n' for wheel in sorted(page.glob("*.whl")))
        (page / "index.html").write_text(links)
        lines.append(f"{name}=={version}{marker} --hash=sha256:{digest}\n")
    (root / "requirements" / "dev.lock").write_text("".join(lines))
    return root


def test_newer_releases_do_not_break_the_set_up(project: Path) -> None:
    """pip once resolved `coverage[toml]` anew: the release of a day broke every fresh clone."""
    done = make(project)
    assert done.returncode == 0, done.stderr
    site = next((project / ".venv").glob("lib/python*/site-packages"))
    for name, version, marker in locked("dev"):
        found = sorted(site.glob(f"{name.replace('-', '_')}-*.dist-info"))
        assert marker or found, name
        assert all(version in folder.name for folder in found), found


def test_a_lock_that_lacks_a_package_is_refused_with_the_cure(project: Path) -> None:
    """Nothing is resolved, so nobody else would notice that a package is missing."""
    lock = project / "requirements" / "dev.lock"
    whole = lock.read_text()
    lock.write_text(re.sub(r"(?m)^click==.*\n", "", whole))
    try:
        done = make(project, ".venv-short")
    finally:
        lock.write_text(whole)
    assert done.returncode != 0
    assert "requires click, which is not installed" in done.stderr
    assert "make lock" in done.stderr


@pytest.mark.parametrize("name", ["Makefile", "Dockerfile", "tests/integration/test_image.py"])
def test_every_set_up_installs_without_resolving(name: str) -> None:
    """Each place that installs from a lock tells pip to take the lock as it is."""
    before = [text[-40:] for text in (ROOT / name).read_text().split("--require-hashes")[:-1]]
    assert before
    assert all("--no-deps" in text for text in before)


def locked(lock: str) -> list[tuple[str, str, str]]:
    """Return name, version and marker of every package of a lock."""
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    return re.findall(r"(?m)^([a-z0-9._-]+)==([^\s;]+)( ; [^\\\n]+)?", text)


def write_wheel(folder: Path, name: str, version: str) -> str:
    """Write a wheel of no content that wants what the real package wants; return its hash."""
    try:
        wanted = importlib.metadata.metadata(name).get_all("Requires-Dist") or []
        extras = importlib.metadata.metadata(name).get_all("Provides-Extra") or []
    except importlib.metadata.PackageNotFoundError:  # a package of another platform
        wanted, extras = [], []
    stem = f"{name.replace('-', '_')}-{version}"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Provides-Extra: {extra}" for extra in extras] + [f"Requires-Dist: {wish}" for wish in wanted]
    files = {
        f"{stem}.dist-info/METADATA": "\n".join(lines) + "\n",
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_digest(text)},{len(text)}\n" for path, text in files.items())
    files[f"{stem}.dist-info/RECORD"] = record + f"{stem}.dist-info/RECORD,,\n"
    wheel = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def make(project: Path, venv: str = ".venv") -> subprocess.CompletedProcess[str]:
    """Set up from dev.lock as `make test` does."""
    return subprocess.run(
        ["make", f"PYTHON={sys.executable}", f"VENV={venv}", f"{venv}/.locked-dev"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={
            "PATH": f"{sysconfig.get_path('scripts')}:/usr/bin:/bin",
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_INDEX_URL": (project / "index").as_uri(),
        },
    )
