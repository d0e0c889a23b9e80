"""A real Prometheus scrapes each target separately, as deploy/operator configures it: by /sd, and by name."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.daemon import ROOT, Daemon
from tests.integration.prometheus import Prometheus, eventually
from tests.integration.servers import RealServer

pytestmark = pytest.mark.integration

OPERATOR = ROOT / "deploy" / "operator"


def translated(name: str, port: int) -> dict[str, Any]:
    """Return the scrape job that the operator makes of a ScrapeConfig or a Probe, with the address of our daemon."""
    text = (OPERATOR / name).read_text(encoding="utf-8")
    spec = yaml.safe_load(re.sub(r"redis-pulse\.redis-pulse\.svc:\d+", f"127.0.0.1:{port}", text))["spec"]
    job: dict[str, Any] = {"job_name": spec["jobName"], "scrape_interval": "1s", "scrape_timeout": "1s"}
    if "prober" in spec:
        return job | {
            "metrics_path": spec["prober"]["path"],
            "static_configs": [{"targets": ["it"]}],
            "relabel_configs": [
                {"source_labels": ["__address__"], "target_label": "__param_target"},
                {"source_labels": ["__param_target"], "target_label": "instance"},
                {"target_label": "__address__", "replacement": spec["prober"]["url"]},
            ],
        }
    return job | {
        "http_sd_configs": [{"url": source["url"], "refresh_interval": "1s"} for source in spec["httpSDConfigs"]],
        "relabel_configs": [
            {"target_label": rule["targetLabel"], "replacement": rule["replacement"]} for rule in spec["relabelings"]
        ],
    }


@pytest.mark.parametrize("name", ["scrapeconfig.yaml", "probe.yaml"])
def test_target_is_scraped_separately(
    name: str, start_server: Callable[..., RealServer], watch: Callable[..., Daemon], tmp_path: Path
) -> None:
    server = start_server()
    daemon = watch(server)
    daemon.wait_until_up("it")
    prometheus = Prometheus(tmp_path / "prometheus", daemon.port)
    prometheus._config["scrape_configs"] = [translated(name, daemon.port)]
    instance = server.address if name == "scrapeconfig.yaml" else "it"
    with prometheus:
        expression = f'redis_up{{job="redis-pulse-targets",instance="{instance}",target="it"}} == 1'
        [series] = eventually(lambda: prometheus.query(expression), f"a scrape of {instance}", 40)
    assert series["metric"]["target"] == "it"
