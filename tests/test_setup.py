"""Set-up from the lock files: new releases of packages change nothing."""

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
    """A folder with the Makefile and a dev.lock. Its index has an empty wheel of each package, and a newer one."""
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
    """pip once resolved `coverage[toml]` again, and a new release broke every fresh clone."""
    completed = make(project)
    assert completed.returncode == 0, completed.stderr
    site = next((project / ".venv").glob("lib/python*/site-packages"))
    for name, version, marker in locked("dev"):
        folders = sorted(site.glob(f"{name.replace('-', '_')}-*.dist-info"))
        assert marker or folders, name
        assert all(version in folder.name for folder in folders), folders


def test_lock_without_a_package_is_rejected_with_a_hint(project: Path) -> None:
    """pip resolves nothing, so it would not notice that a package is missing."""
    lock = project / "requirements" / "dev.lock"
    text = lock.read_text()
    lock.write_text(re.sub(r"(?m)^click==.*\n", "", text))
    try:
        completed = make(project, ".venv-short")
    finally:
        lock.write_text(text)
    assert completed.returncode != 0
    assert "requires click, which is not installed" in completed.stderr
    assert "make lock" in completed.stderr


@pytest.mark.parametrize("name", ["Makefile", "Dockerfile", "tests/integration/test_image.py"])
def test_every_set_up_installs_without_resolving(name: str) -> None:
    """Every command that installs from a lock has --no-deps, so pip uses the lock unchanged."""
    before = [text[-40:] for text in (ROOT / name).read_text().split("--require-hashes")[:-1]]
    assert before
    assert all("--no-deps" in text for text in before)


def locked(lock: str) -> list[tuple[str, str, str]]:
    """Return name, version and marker of every package of a lock."""
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    return re.findall(r"(?m)^([a-z0-9._-]+)==([^\s;]+)( ; [^\\\n]+)?", text)


def write_wheel(folder: Path, name: str, version: str) -> str:
    """Write an empty wheel with the requirements of the real package, and return its hash."""
    try:
        requirements = importlib.metadata.metadata(name).get_all("Requires-Dist") or []
        extras = importlib.metadata.metadata(name).get_all("Provides-Extra") or []
    except importlib.metadata.PackageNotFoundError:  # a package of another platform
        requirements, extras = [], []
    stem = f"{name.replace('-', '_')}-{version}"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Provides-Extra: {extra}" for extra in extras] + [
        f"Requires-Dist: {requirement}" for requirement in requirements
    ]
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
