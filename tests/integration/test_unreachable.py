"""A wrong configuration (certificates, names, paths) makes the server unreachable until it is corrected."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.integration.daemon import Daemon
from tests.integration.pages import assert_reasons, opened_by
from tests.integration.servers import RealServer

pytestmark = pytest.mark.integration

Start = Callable[..., RealServer]
Watch = Callable[..., Daemon]


def test_untrusted_certificate_is_tls_error_until_ca_is_trusted(
    start_server: Start, start_daemon: Any, tmp_path: Path
) -> None:
    """This needs Redis, because the Valkey of the wheel is built without TLS."""
    ca, other_ca = trustme.CA(), trustme.CA()
    paths = [tmp_path / name for name in ("server.pem", "server.key", "ca.pem", "other_ca.pem")]
    issued = ca.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(paths[0])
    issued.private_key_pem.write_to_path(paths[1])
    ca.cert_pem.write_to_path(paths[2])
    other_ca.cert_pem.write_to_path(paths[3])
    server = start_server("redis", tls=tuple(paths[:3]))

    def trusting(file: Any) -> dict[str, Any]:
        return {"targets": [{"name": "it", "url": server.url, "tls": {"ca_file": str(file)}}]}

    daemon = start_daemon(config=trusting(paths[3]))
    first = daemon.page()
    untrusted = daemon.wait_for(lambda page: opened_by(page, "tls"))
    assert_reasons(untrusted, "tls")
    assert untrusted.has_failed("connect", "tls")
    daemon.assert_every_ping_counted(first)
    daemon.configure(trusting(paths[2]))
    daemon.reload()
    up = daemon.wait_until_up()
    daemon.wait_for(lambda page: page.operations() > up.operations() + 5)
    daemon.assert_every_ping_counted(up)


def test_certificate_for_another_name_is_tls_error(start_server: Start, start_daemon: Any, tmp_path: Path) -> None:
    ca = trustme.CA()
    paths = [tmp_path / name for name in ("server.pem", "server.key", "ca.pem")]
    issued = ca.issue_cert("redis.internal")
    issued.cert_chain_pems[0].write_to_path(paths[0])
    issued.private_key_pem.write_to_path(paths[1])
    ca.cert_pem.write_to_path(paths[2])
    server = start_server("redis", tls=tuple(paths))
    tls = {"ca_file": str(paths[2])}
    targets = [
        {"name": "strict", "url": server.url, "tls": tls},
        {"name": "named", "url": f"{server.url}/1", "tls": {**tls, "server_name": "redis.internal"}},
        {"name": "unchecked", "url": f"{server.url}/2", "tls": {"cert_reqs": "none"}},
    ]
    daemon = start_daemon(config={"targets": targets})
    page = daemon.wait_for(lambda page: page.failures("ping", "tls", "strict") and page.breaker("strict") == "open")
    assert page.up("strict") == 0
    for name in ("named", "unchecked"):
        daemon.wait_until_up(name)


def test_tls_client_at_plain_port_is_tls_error(start_server: Start, watch: Watch) -> None:
    server = start_server()
    daemon = watch(server, url=f"rediss://{server.address}")
    page = daemon.wait_for(lambda page: page.breaker() == "open")
    assert_reasons(page, "tls", "reset", "timeout")


def test_host_name_that_does_not_exist_is_dns_error(start_server: Start, start_daemon: Any) -> None:
    # Without a working resolver, the resolver of the system should fail soon.
    environment = {"RES_OPTIONS": "timeout:1 attempts:1"}
    daemon = start_daemon(
        config={"targets": [{"name": "it", "url": "redis://no-such-host.invalid:6379"}]}, env=environment
    )
    first = daemon.page()
    down = daemon.wait_for(lambda page: opened_by(page, "dns"))
    assert_reasons(down, "dns", "timeout")
    assert down.has_failed("connect", "dns")
    daemon.wait_for(lambda page: page.not_sent() >= 5)
    daemon.assert_every_ping_counted(first)
    server = start_server()
    daemon.configure({"targets": [{"name": "it", "url": f"redis://localhost:{server.port}"}]})
    daemon.reload()
    up = daemon.wait_until_up()
    daemon.wait_for(lambda page: page.operations() > up.operations() + 5)
    daemon.assert_every_ping_counted(up)


def test_missing_unix_socket_is_unreachable(start_server: Start, start_daemon: Any) -> None:
    server = start_server(listen=False)
    daemon = start_daemon(config={"targets": [{"name": "it", "url": f"unix://{server.folder}/admin.sock"}]})
    first = daemon.page()
    down = daemon.wait_for(lambda page: opened_by(page, "unreachable"))
    assert_reasons(down, "unreachable")
    server.start()
    daemon.wait_until_up()
    daemon.assert_every_ping_counted(first)
