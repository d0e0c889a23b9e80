"""A real Prometheus ingests gauge histograms in both formats, and computes quantiles from them."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from redis_pulse.collectors.key_sizes import COLLECTOR, KeySizesOptions
from redis_pulse.exposition.rendering import render, with_headers
from redis_pulse.metric import Sample
from redis_pulse.server_info import Server
from tests.fakes import FakeCommands, every_info
from tests.integration.prometheus import Prometheus, eventually

pytestmark = [pytest.mark.integration, pytest.mark.slow]

#: 90 strings of 4 to 7 bytes, and 10 of 64 to 127.
INFO = "# Keysizes\r\ndb0_distrib_strings_sizes:4=90,64=10\r\n"
#: Path → whether it is OpenMetrics, and its media type.
FORMATS = {
    "/text": (False, "text/plain; version=0.0.4; charset=utf-8"),
    "/openmetrics": (True, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
}


@pytest.fixture
async def pages() -> Iterator[int]:  # type: ignore[misc]
    """Serve the page of the collector in both formats, and return the port."""
    items = await COLLECTOR.collect(Server(), FakeCommands(every_info(INFO)), KeySizesOptions())
    lines = render("cart", [item for item in items if isinstance(item, Sample)])
    headers = dict(with_headers(lines))
    bodies = {
        path: b"".join(headers[metric][is_openmetrics] + text for metric, text in lines.items())
        + (b"# EOF\n" if is_openmetrics else b"")
        for path, (is_openmetrics, _) in FORMATS.items()
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", FORMATS[self.path][1])
            self.end_headers()
            self.wfile.write(bodies[self.path])

        def log_message(self, *_: object) -> None:
            """Write no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_prometheus_ingests_both_formats(pages: int, tmp_path: Path) -> None:
    jobs = [
        {"job_name": path, "metrics_path": path, "static_configs": [{"targets": [f"127.0.0.1:{pages}"]}]}
        for path in FORMATS
    ]
    with Prometheus(tmp_path / "prometheus", [], jobs=jobs) as prometheus:
        name = "redis_key_size_bytes_bucket"
        eventually(lambda: len(prometheus.query(f'{name}{{le="+Inf"}}')) == len(FORMATS), "both formats are ingested")
        for path in FORMATS:
            [total] = prometheus.query(f'{name}{{job="{path}", le="+Inf"}}')
            assert (total["value"][1], total["metric"]["type"]) == ("100", "string")
            [upper] = prometheus.query(f'histogram_quantile(0.9, {name}{{job="{path}"}})')
            assert upper["value"][1] == "7"
        assert prometheus.query("up == 0") == []
        kinds = prometheus.get("metadata")
        assert kinds["redis_key_size_bytes_bucket"][0]["type"] == "gauge"
        assert kinds["redis_key_size_bytes"][0]["type"] == "gaugehistogram"
