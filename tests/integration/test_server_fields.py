"""INFO of every available server: no field is unknown, and certificates of a real server are read.

``REDIS_PULSE_SERVERS`` names a folder with more servers. Each executable in it is one, with a name that says which:

    REDIS_PULSE_SERVERS=/opt/servers make test ARGS="tests/integration/test_server_fields.py --no-cov"
"""

import datetime as dt
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
import trustme

from redis_pulse.collectors.info import COLLECTOR, InfoOptions
from redis_pulse.metric import Sample
from redis_pulse.server_info import Server
from tests.collectors.info.test_unknown_fields import unknown
from tests.fakes import FakeCommands, every_info
from tests.integration.prometheus import eventually
from tests.integration.servers import ALL, binary, free_port

pytestmark = [pytest.mark.integration, pytest.mark.slow]

FOLDER = os.environ.get("REDIS_PULSE_SERVERS", "")
MORE = sorted(path.name for path in Path(FOLDER).iterdir()) if FOLDER else []


def program(server: str) -> str:
    return binary(server) if server in ALL else str(Path(FOLDER) / server)


@contextmanager
def started(server: str, folder: Path, *options: str) -> Iterator[redis.Redis]:
    """Start a server, and yield a client of it."""
    folder.mkdir(parents=True)
    socket = folder / "admin.sock"
    words = [program(server), "--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", "", *options]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        eventually(socket.exists, f"{server} has started", 20)
        with redis.Redis(unix_socket_path=str(socket), protocol=2) as client:
            client.set_response_callback("INFO", lambda reply, **_: reply)
            eventually(client.ping, f"{server} replies", 20)
            yield client
    finally:
        process.kill()
        process.wait()


def info(client: redis.Redis) -> str:
    """Return INFO with all sections that the server has."""
    reply = client.execute_command("INFO", "everything") or client.execute_command("INFO", "all")
    return bytes(reply).decode()


@pytest.mark.parametrize("server", [*ALL, *MORE])
def test_no_field_of_an_available_server_is_unknown(server: str, tmp_path: Path) -> None:
    with started(server, tmp_path / "single") as client:
        client.set("key", "value")
        client.rpush("list", 1, 2, 3)
        client.eval("return 1", 0)
        assert unknown(info(client)) == []
    bus = str(free_port())
    options = ("--cluster-enabled", "yes", "--port", bus, "--bind", "127.0.0.1")
    with started(server, tmp_path / "cluster", *options) as client:
        assert unknown(info(client)) == []


async def test_expiry_of_real_certificates_is_read(tmp_path: Path) -> None:
    """Valkey 9.1 reports them. The wheel has no TLS, so this needs the server of a distribution."""
    for server in MORE:
        version = subprocess.run([program(server), "--version"], capture_output=True, text=True, check=False).stdout
        if re.search(r"Valkey server v=(9\.[1-9]|[1-9][0-9])", version) and "malloc=libc" not in version:
            break
    else:
        pytest.skip("needs a Valkey 9.1 with TLS in the folder REDIS_PULSE_SERVERS")
    authority, now = trustme.CA(), dt.datetime.now(dt.UTC)
    certificate = authority.issue_cert("127.0.0.1", not_after=now + dt.timedelta(days=13))
    files = {name: str(tmp_path / f"{name}.pem") for name in ("ca-cert", "cert", "key")}
    authority.cert_pem.write_to_path(files["ca-cert"])
    certificate.cert_chain_pems[0].write_to_path(files["cert"])
    certificate.private_key_pem.write_to_path(files["key"])
    options = [word for name, path in files.items() for word in (f"--tls-{name}-file", path)]
    with started(server, tmp_path / "tls", "--tls-port", str(free_port()), *options) as client:
        commands = FakeCommands(every_info(info(client)))
    items = await COLLECTOR.collect(Server(), commands, InfoOptions())
    values = {item.metric.name: item.value for item in items if isinstance(item, Sample)}
    assert 12.9 * 86400 < values["tls_server_cert_expires_in_seconds"] <= 13 * 86400
    assert values["tls_ca_cert_expires_in_seconds"] > 14 * 86400
    assert "tls_client_cert_expires_in_seconds" not in values
    serials = {
        item.labels[0] for item in items if isinstance(item, Sample) and item.metric.name == "tls_certificate_info"
    }
    assert serials == {"server", "ca"}
