"""Where a login that expires comes from: of the target, else of its module; never for Sentinels themselves."""

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from redis_pulse.config import ConfigError, CredentialsSettings, LoadedConfig, effective_text, load, validation

AWS = "{name: cart, user: me, region: eu-west-1}"


def loaded(folder: Path, text: str) -> LoadedConfig:
    file = folder / "redis-pulse.yaml"
    file.write_text(text)
    return load(Namespace(config=str(file)), {}, folder)


def test_module_gives_all_its_targets_one_equal_source(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        f"modules: {{m: {{credentials: {{aws: {AWS}}}}}}}\n"
        "targets: [{url: 'rediss://a', module: m}, {url: 'rediss://b', module: m}, {url: 'rediss://c', cluster: true, "
        "module: m}]\n",
    )
    first, second = config.targets
    assert first.token_source == second.token_source
    assert first.token_source is not None
    assert (first.token_source.kind, first.user, first.has_login) == ("aws", "me", True)
    (cluster,) = config.sources
    assert cluster.seeds[0].token_source == first.token_source, "every node has the login of the target"
    assert not config.warnings


def test_target_decides_before_its_module(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "modules: {p: {password: x}, g: {credentials: {google: true}}}\n"
        "targets: [{url: 'rediss://a', module: p, credentials: {azure: true}}, {url: 'rediss://b', module: g, "
        "password: x}]\n",
    )
    first, second = config.targets
    assert first.token_source is not None
    assert (first.token_source.kind, first.password) == ("azure", None)
    assert second.token_source is None
    assert second.password is not None


def test_sentinels_themselves_have_no_such_login(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "targets: [{name: q, credentials: {google: true}, "
        "sentinel: {hosts: ['s1:26379'], master: m, scheme: rediss}}]\n",
    )
    (source,) = config.sources
    assert source.template.token_source is not None
    assert source.seeds[0].token_source is None


def test_token_without_encryption_is_a_warning(tmp_path: Path) -> None:
    config = loaded(tmp_path, f"targets: [{{name: cart, url: 'redis://a', credentials: {{aws: {AWS}}}}}]\n")
    assert config.warnings == ("target cart: its token is sent without encryption: use rediss://",)


def test_words_of_a_command_are_shown_nowhere(tmp_path: Path) -> None:
    text = f"targets: [{{url: a, credentials: {{command: ['{sys.executable}', '--password', hunter2]}}}}]\n"
    config = loaded(tmp_path, text)
    assert "hunter2" not in "".join(effective_text(config.effective)) + repr(config.targets)


@pytest.mark.parametrize("library", ["no_such_library", "no.such.library"])
def test_missing_library_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    monkeypatch.setitem(validation._LIBRARIES, "aws", library)
    with pytest.raises(ConfigError) as raised:
        loaded(tmp_path, f"targets: [{{url: 'rediss://a', credentials: {{aws: {AWS}}}}}]\n")
    text = str(raised.value)
    assert f"targets[0].credentials.aws needs the library {library}, which is not installed" in text
    assert "pip install 'redis-pulse[aws]'" in text


@pytest.mark.parametrize(
    ("credentials", "service"),
    [
        ({"aws": {"name": "cart", "user": "u", "region": "eu-west-1"}}, "elasticache"),
        ({"aws": {"name": "cart", "user": "u", "region": "eu-west-1", "serverless": True}}, "elasticache-serverless"),
        ({"aws": {"name": "cart", "user": "u", "region": "eu-west-1", "service": "memorydb"}}, "memorydb"),
        ({"google": True}, "memorystore"),
        ({"azure": True}, ""),
        ({"command": ["token"]}, ""),
    ],
)
def test_login_names_the_service(credentials: dict[str, Any], service: str) -> None:
    """INFO and the address of a Memorystore do not name it."""
    source = CredentialsSettings.model_validate(credentials)
    assert source.service == service
