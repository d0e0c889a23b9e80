"""The effective configuration: each value, the source that decided it, and no secret."""

import argparse
from pathlib import Path

import pytest

from redis_pulse.config import EffectiveValue, LoadedConfig, effective_text, load
from redis_pulse.config.setting_sources import setting_fields

SECRET = "hunter2-secret"


def loaded(folder: Path, text: str, arguments: argparse.Namespace | None = None, **environ: str) -> LoadedConfig:
    file = folder / "redis-pulse.yaml"
    file.write_text(text)
    arguments = arguments or argparse.Namespace()
    arguments.config = str(file)
    return load(arguments, environ, folder)


def values(config: LoadedConfig) -> dict[str, EffectiveValue]:
    return {value.path: value for value in config.effective}


def test_each_value_has_the_location_that_decided_it(tmp_path: Path) -> None:
    text = "probe:\n  interval: 2s\n  timeout: 1s\nlisten: ':9000'\ntargets:\n- url: redis://a\n"
    arguments = argparse.Namespace(listen="127.0.0.1:9100")
    found = values(loaded(tmp_path, text, arguments, REDIS_PULSE_PROBE_TIMEOUT="500ms"))
    file = tmp_path / "redis-pulse.yaml"
    assert found["listen"] == ("listen", "127.0.0.1:9100", "--listen")
    assert found["probe.interval"] == ("probe.interval", "2s", f"{file}:2")
    assert found["probe.timeout"] == ("probe.timeout", "500ms", "REDIS_PULSE_PROBE_TIMEOUT")
    assert found["poll.interval"] == ("poll.interval", "15s", "default")
    assert found["targets[0].url"] == ("targets[0].url", "redis://a", f"{file}:6")


def test_every_setting_at_the_top_is_listed(tmp_path: Path) -> None:
    found = {
        value.path.split("[")[0].split(".")[0] for value in loaded(tmp_path, "targets: [{url: redis://a}]\n").effective
    }
    assert found >= {str(path[0]) for path, _ in setting_fields()} - {"modules", "targets"}


def test_targets_and_modules_list_only_what_they_set(tmp_path: Path) -> None:
    text = "modules: {far: {poll: {interval: 1m}}}\ntargets: [{url: redis://a, module: far, labels: {team: web}}]\n"
    found = [value.path for value in loaded(tmp_path, text).effective if value.path.startswith(("modules", "targets"))]
    assert found == ["modules.far.poll.interval", "targets[0].labels.team", "targets[0].url", "targets[0].module"]


@pytest.mark.parametrize(
    "text",
    [
        f"targets: [{{url: 'redis://user:{SECRET}@a:1'}}]\n",
        f"targets: [{{url: redis://a, password: {SECRET}}}]\n",
        f"redis_url: ['one=redis://:{SECRET}@a', 'redis://u:{SECRET}@b']\npassword: {SECRET}\n",
        f"modules: {{m: {{password: {SECRET}}}}}\ntargets: [{{url: redis://a, module: m}}]\n",
        f"targets: [{{url: redis://a, commands: {{config: {SECRET}}}}}]\n",
        f"targets: [{{name: s, sentinel: {{hosts: ['s:26379'], master: m, password: {SECRET}}}}}]\n",
    ],
)
def test_no_secret_is_shown(tmp_path: Path, text: str) -> None:
    config = loaded(tmp_path, text)
    shown = "".join(effective_text(config.effective))
    assert SECRET not in shown
    assert "***" in shown


def test_secrets_of_the_environment_and_of_the_folder_are_hidden(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "REDIS_PASSWORD").write_text(SECRET)
    environ = {"REDIS_URL": f"redis://:{SECRET}@a", "REDIS_PULSE_SECRETS_DIR": str(folder)}
    shown = "".join(effective_text(load(None, environ, tmp_path).effective))
    assert SECRET not in shown
    assert "redis_url: redis://***@a  # REDIS_URL\n" in shown
    assert f"password: ***  # {folder}/REDIS_PASSWORD\n" in shown


def test_control_characters_of_a_value_are_escaped(tmp_path: Path) -> None:
    config = loaded(tmp_path, 'targets: [{url: redis://a, labels: {team: "a\\u001b[31m\\nlisten: x"}}]\n')
    assert values(config)["targets[0].labels.team"].value == r"a\x1b[31m\nlisten: x"


def test_five_thousand_targets_are_listed(tmp_path: Path) -> None:
    text = "targets:\n" + "".join(f"- {{name: t{n}, url: 'redis://10.0.{n // 250}.{n % 250}'}}\n" for n in range(5000))
    config = loaded(tmp_path, text)
    assert sum(value.path.startswith("targets[") for value in config.effective) == 10000
    assert config.file == str(tmp_path / "redis-pulse.yaml")
