"""Round trips and retransmissions of real connections: loopback, a unix socket, and a network that is cut."""

import sys
from collections.abc import Callable, Iterator

import pytest

from chaos.network import Namespace, unavailable_reason
from tests.integration.daemon import Daemon
from tests.integration.pages import Page
from tests.integration.servers import RealServer

pytestmark = [
    pytest.mark.integration,
    pytest.mark.alone,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has TCP_INFO"),
]
RTT, MIN_RTT = "redis_connection_tcp_rtt_seconds", "redis_connection_tcp_min_rtt_seconds"
RETRANSMITS = "redis_connection_tcp_retransmits_total"
Start = Callable[..., Daemon]


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    if reason := unavailable_reason():
        pytest.skip(reason)
    namespace = Namespace()
    try:
        namespace.create()
        yield namespace
    finally:
        namespace.delete()


def test_tcp_has_round_trips_and_a_unix_socket_has_none(server: RealServer, start_daemon: Start) -> None:
    urls = {"tcp": server.url, "unix": f"unix://{server.folder / 'admin.sock'}"}
    daemon = start_daemon(config={"targets": [{"name": name, "url": url} for name, url in urls.items()]})
    page = daemon.wait_for(lambda page: page.up("tcp") == page.up("unix") == 1 and page.matching(RTT))
    rtt, min_rtt = page.value(RTT, target="tcp"), page.value(MIN_RTT, target="tcp")
    assert rtt is not None
    assert 1e-6 <= rtt < 0.3
    assert min_rtt is None or 1e-6 <= min_rtt <= rtt
    assert page.value(RETRANSMITS, target="tcp") == 0
    assert not any(page.matching(name, target="unix") for name in (RTT, MIN_RTT, RETRANSMITS))


def test_cut_network_counts_what_was_sent_again_without_a_poll(
    namespace: Namespace, start_server: Callable[..., RealServer], start_daemon: Start
) -> None:
    """Polls are so rare that only the end of the connection can have counted."""
    server = start_server(bind="0.0.0.0", protected_mode="no", enter=namespace.enter)
    target = {"name": "it", "url": f"redis://{namespace.host}:{server.port}"}
    daemon = start_daemon(config={"targets": [target], "poll": {"interval": "1h", "max_age": "3h"}})
    assert daemon.wait_until_up().value(RETRANSMITS) == 0
    namespace.cut("drop requests")

    def is_lost(page: Page) -> bool:
        return page.up() == 0 and not page.matching(RTT)

    lost = daemon.wait_for(is_lost, 20)
    counted = lost.value(RETRANSMITS)
    assert counted is not None
    assert counted >= 2
    namespace.repair()
    later = daemon.wait_until_up().value(RETRANSMITS)
    assert later is not None
    assert later >= counted
