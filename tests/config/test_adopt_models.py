"""Which targets a scrape may add, as a configuration file and the environment say it."""

import argparse
from pathlib import Path

import pytest

from redis_pulse.config import AdoptRules, ConfigError, LoadedConfig, load


def loaded(folder: Path, text: str = "", environ: dict[str, str] | None = None) -> LoadedConfig:
    (folder / "c.yaml").write_text(text or "{listen: ':9121'}")
    return load(argparse.Namespace(config="c.yaml"), environ or {}, folder)


def rules(folder: Path, text: str, environ: dict[str, str] | None = None) -> AdoptRules:
    found = loaded(folder, text, environ).adopt
    assert found is not None
    return found


def test_nothing_is_adopted_by_default(tmp_path: Path) -> None:
    assert loaded(tmp_path).adopt is None


def test_allow_alone_is_enough_and_the_rest_has_defaults(tmp_path: Path) -> None:
    options = rules(tmp_path, "scrape: {adopt: {allow: [10.0.0.0/8]}}").options
    assert (options.allow, options.module, options.forget_after, options.max) == (("10.0.0.0/8",), None, 600, 500)


def test_daemon_that_adopts_targets_watches_no_default_target(tmp_path: Path) -> None:
    config = loaded(tmp_path, "scrape: {adopt: {allow: [10.0.0.0/8]}}")
    assert (config.targets, config.warnings) == ((), ())


def test_allow_is_required_and_not_empty(tmp_path: Path) -> None:
    for text in ("scrape: {adopt: {}}", "scrape: {adopt: {allow: []}}"):
        with pytest.raises(ConfigError, match=r"scrape\.adopt\.allow (is missing|must not be empty)"):
            loaded(tmp_path, text)


def test_template_has_the_settings_of_its_module_and_modules_have_theirs(tmp_path: Path) -> None:
    text = """
modules:
  prod: {username: exporter, password: hunter2, labels: {team: a}}
  secure: {tls: {server_name: redis.internal}}
scrape: {adopt: {allow: [10.0.0.0/8], module: prod}}
"""
    found = rules(tmp_path, text)
    assert found.template.credentials() == ("exporter", "hunter2")
    assert found.template.labels == {"team": "a"}
    assert found.modules["secure"].endpoint.tls
    assert found.modules["secure"].username is None
    assert "hunter2" not in repr(found)


def test_environment_sets_it_for_containers(tmp_path: Path) -> None:
    environ = {"REDIS_PULSE_SCRAPE_ADOPT_ALLOW": "10.0.0.0/8, *.redis.svc", "REDIS_PULSE_SCRAPE_ADOPT_MAX": "7"}
    options = rules(tmp_path, "", environ).options
    assert (options.allow, options.max) == (("10.0.0.0/8", "*.redis.svc"), 7)
