"""Every list of discovery becomes sources of targets."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from redis_pulse.config import DiscoverySettings
from tests.config.test_target import load_yaml

#: One entry for each list. A new list needs a row here.
ENTRIES: dict[str, Any] = {
    "files": "/etc/targets/*.yaml",
    "http": "https://inventory.example/redis",
    "dns": "redis.example",
}


def lists_of_sources() -> list[str]:
    """Return the fields of ``discovery`` that are lists of settings."""
    fields = DiscoverySettings.model_json_schema()["properties"]
    return [name for name, field in fields.items() if "$ref" in field.get("items", {})]


def test_lists_of_sources_are_found() -> None:
    assert issubclass(DiscoverySettings, BaseModel)
    assert set(lists_of_sources()) == ENTRIES.keys()


@pytest.mark.parametrize("name", lists_of_sources())
def test_every_list_of_discovery_gives_a_source(tmp_path: Path, name: str) -> None:
    """Without this, a new list would be accepted and ignored."""
    loaded = load_yaml(tmp_path, f"discovery: {{{name}: [{ENTRIES[name]!r}]}}")
    assert len(loaded.sources) == 1


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_module_with_tls_demands_tls_for_its_targets(tmp_path: Path, scheme: str) -> None:
    """Its settings would have no effect otherwise, and the password would go out in the clear."""
    text = f"""
modules: {{safe: {{tls: {{server_name: x}}}}, plain: {{}}}}
discovery: {{dns: [{{name: r, module: safe}}], files: [{{path: x.yaml, scheme: {scheme}}}]}}
"""
    file, dns = sorted(load_yaml(tmp_path, text).sources, key=lambda source: source.kind, reverse=True)
    assert dns.template.endpoint.tls
    assert file.modules["safe"].endpoint.tls
    assert file.template.endpoint.tls is file.modules["plain"].endpoint.tls is (scheme == "rediss")


def test_token_over_http_is_warned_of(tmp_path: Path) -> None:
    """Attack L11."""
    (tmp_path / "token").write_text("x\n")
    text = "discovery: {http: [{url: 'http://inventory/', bearer_token_file: token}]}"
    assert "discovery.http[0].bearer_token_file: everyone on the way" in str(load_yaml(tmp_path, text).warnings)
