"""Flags of redis_exporter start the daemon as they start redis_exporter. No message repeats a secret."""

from pathlib import Path

import pytest

from redis_pulse.cli import main
from redis_pulse.config import ConfigError, LoadedConfig, Problem, Settings
from redis_pulse.migrate import FlagError, take_flags
from redis_pulse.migrate.flags import FLAG_TABLE

OWN = ("--debug", "--log-level", "--config")


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def config(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, str]:
    """Return the effective settings of a command line, with their origins."""
    assert main(["config", *words]) == 0
    lines = [line.partition(": ") for line in capsys.readouterr().out.splitlines()]
    return {name: value for name, _, value in lines}


def checked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = main(["check-config", *words])
    captured = capsys.readouterr()
    assert "hunter2" not in captured.out + captured.err
    return status, captured.out + captured.err


@pytest.mark.parametrize("words", [["-redis.addr=redis://cart:6379"], ["--redis.addr", "redis://cart:6379"]])
def test_flags_are_written_as_go_accepts_them(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    status, text = checked(capsys, *words, "-export-client-list", "-include-system-metrics=true", "-debug=false")
    assert (status, text) == (0, "ok: 1 target (cart:6379)\n")
    settings = config(capsys, *words, "-web.listen-address=:9200", "-export-client-list", "-connection-timeout=7s")
    assert settings["redis_url"] == "redis://cart:6379  # -redis.addr"
    assert settings["listen"] == ":9200  # -web.listen-address"
    assert settings["connection.socket_timeout"] == "7s  # -connection-timeout"
    assert settings["collectors.clients.per_client"] == "true  # -export-client-list"
    assert settings["web.health_status"].startswith("always-200")


def test_flag_is_stronger_than_its_variable_and_weaker_than_an_option(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_ADDR", "redis://other")
    monkeypatch.setenv("REDIS_EXPORTER_WEB_LISTEN_ADDRESS", ":1")
    settings = config(capsys, "-redis.addr=cart", "-web.listen-address=:2", "--listen", ":3")
    assert settings["redis_url"] == "cart  # -redis.addr"
    assert settings["listen"] == ":3  # --listen"


def test_password_on_the_command_line_is_secret_and_gets_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = checked(capsys, "-redis.addr=cart", "-redis.password=hunter2")
    assert status == 0
    assert "every user of this host can see the password in -redis.password: use REDIS_PASSWORD" in text
    settings = config(capsys, "-redis.addr=redis://u:hunter2@cart", "-redis.password", "hunter2")
    assert "hunter2" not in str(settings)
    status, text = checked(capsys, "-redis.addr=redis://:hunter2@cart")
    assert "the password in -redis.addr" in text


def test_flag_without_counterpart_says_what_to_use(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = checked(capsys, "-namespace=cache", "-redis.addr=cart", "-skip-checkkeys-for-role-master")
    assert status == 0
    assert "warning: -namespace has no effect: Names always begin with redis_." in text
    assert "-skip-checkkeys-for-role-master has no effect: Set roles: replicas" in text
    assert "REDIS_EXPORTER_" not in text


def test_flag_that_protected_the_pages_stops_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = checked(capsys, "-redis.addr=cart", "-basic-auth-password=hunter2")
    assert status == 1
    assert "-basic-auth-password protects the pages of redis_exporter, but has no effect here" in text
    assert "web.config_file" in text


def test_bad_value_names_the_flag(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = checked(capsys, "-redis.addr=http://hunter2")
    assert status == 1
    assert "-redis.addr" in text


def test_empty_address_says_how_requests_may_name_servers(capsys: pytest.CaptureFixture[str]) -> None:
    _, text = checked(capsys, "-redis.addr=")
    assert "-redis.addr is empty: requests name the servers. Let them with scrape.adopt" in text


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["-version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("redis-pulse ")


def test_own_options_are_not_flags() -> None:
    taken = take_flags(["serve", "--debug", "--log-level=debug", "-log-level=error", "--config", "x"], OWN)
    assert taken.words == ["serve", "--debug", "--log-level=debug", "--config", "x"]
    assert taken.variables == {"REDIS_EXPORTER_LOG_LEVEL": "error"}


@pytest.mark.parametrize("flag", [flag for flag in FLAG_TABLE if flag.variable], ids=lambda flag: flag.name)
def test_every_flag_sets_its_variable(flag: object) -> None:
    name, variable, is_switch = flag.name, flag.variable, flag.is_switch  # type: ignore[attr-defined]
    words = [f"-{name}"] if is_switch else [f"-{name}", "x"]
    assert take_flags(words, OWN).variables == {variable: "true" if is_switch else "x"}


@pytest.mark.parametrize("words", [["-redis.addr"], ["-debug=perhaps"]])
def test_flag_that_go_would_reject_is_rejected(words: list[str]) -> None:
    with pytest.raises(FlagError):
        take_flags(words, OWN)


def test_values_are_not_in_a_representation() -> None:
    assert "hunter2" not in repr(take_flags(["-redis.password", "hunter2"], OWN))


def test_messages_name_the_flag_in_place_of_its_variable() -> None:
    taken = take_flags(["-redis.addr=x"], OWN)

    def fail() -> LoadedConfig:
        raise ConfigError([Problem("REDIS_ADDR", "is wrong", "set REDIS_ADDR or REDIS_URL")])

    with pytest.raises(ConfigError) as caught:
        taken.read(fail)
    assert str(caught.value) == "-redis.addr is wrong (set -redis.addr or REDIS_URL)"
    loaded = LoadedConfig(Settings(), (), ("REDIS_ADDR is not used",))
    assert taken.read(lambda: loaded).warnings == ("-redis.addr is not used",)
