"""Where settings come from, and which source is the stronger."""

import argparse
import json
from pathlib import Path

import pytest

from redis_pulse.config import ConfigError, LoadedConfig, load
from redis_pulse.config.sources import ENVIRONMENT, REDIS_EXPORTER_ENV, UNPREFIXED_ENV, leaves


def read(directory: Path, environ: dict[str, str] | None = None, **arguments: object) -> LoadedConfig:
    """Load with these variables and options, from an empty folder of secrets unless another is named."""
    (directory / "no-secrets").mkdir(exist_ok=True)
    variables = {"REDIS_PULSE_SECRETS_DIR": "no-secrets"} | (environ or {})
    return load(argparse.Namespace(**arguments), variables, directory)


def told(directory: Path, environ: dict[str, str] | None = None, **arguments: object) -> str:
    """Load what is bad; return what a person is told."""
    with pytest.raises(ConfigError) as caught:
        read(directory, environ, **arguments)
    return str(caught.value)


def test_the_strongest_source_wins_each_of_six(tmp_path: Path) -> None:
    """Take the sources away one by one, from the strongest: each time the next one decides."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    environ = {"REDIS_PULSE_SECRETS_DIR": "secrets"}
    (secrets / "probe_interval").write_text("2s\n")
    (tmp_path / "c.yaml").write_text("probe: {interval: 3s}")
    (tmp_path / ".env").write_text("REDIS_PULSE_PROBE_INTERVAL=4s\n")
    variable = {"REDIS_PULSE_PROBE_INTERVAL": "5s"}

    assert read(tmp_path, environ | variable, config="c.yaml", probe_interval="6s").settings.probe.interval == 6
    assert read(tmp_path, environ | variable, config="c.yaml").settings.probe.interval == 5
    assert read(tmp_path, environ, config="c.yaml").settings.probe.interval == 4
    (tmp_path / ".env").unlink()
    assert read(tmp_path, environ, config="c.yaml").settings.probe.interval == 3
    assert read(tmp_path, environ).settings.probe.interval == 2
    (secrets / "probe_interval").unlink()
    assert read(tmp_path, environ).settings.probe.interval == 1


def test_sources_are_merged_setting_by_setting(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("probe: {interval: 3s, timeout: 2s}")
    loaded = read(tmp_path, {"REDIS_PULSE_PROBE_INTERVAL": "5s", "REDIS_PULSE_CONFIG": "c.yaml"})
    assert (loaded.targets[0].probe.interval, loaded.targets[0].probe.timeout) == (5, 2)


def test_the_fixed_names_are_read(tmp_path: Path) -> None:
    loaded = read(
        tmp_path,
        {
            "REDIS_URL": "redis://me:hunter2@cart:7000/2",
            "REDIS_MAX_CONNECTIONS": "3",
            "REDIS_SOCKET_TIMEOUT": "1.5",
            "REDIS_SOCKET_CONNECT_TIMEOUT": "2",
            "REDIS_SOCKET_KEEPALIVE": "false",
            "REDIS_HEALTH_CHECK_INTERVAL": "0",
            "REDIS_RETRY_ON_TIMEOUT": "1",
            "REDIS_SSL_CERT_REQS": "optional",
            "DEBUG": "true",
            "LOG_LEVEL": "error",
        },
    )
    (target,) = loaded.targets
    assert (target.name, target.address, target.db) == ("cart:7000", "cart:7000", 2)
    assert target.credentials() == ("me", "hunter2")
    assert target.connection.model_dump() == {
        "max_connections": 3,
        "socket_timeout": 1.5,
        "socket_connect_timeout": 2,
        "socket_keepalive": False,
        "health_check_interval": 0,
        "retry_on_timeout": True,
    }
    assert target.tls.cert_reqs == "optional"
    assert (loaded.settings.debug, loaded.settings.log.level) == (True, "debug")
    assert loaded.warnings == ()


def test_the_names_of_redis_exporter_are_read(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2\n")
    loaded = read(
        tmp_path,
        {
            "REDIS_ADDR": "redis://a:1, valkeys://b,c:3",
            "REDIS_USER": "me",
            "REDIS_PASSWORD_FILE": "password",
            "REDIS_EXPORTER_WEB_LISTEN_ADDRESS": "0.0.0.0:9121",
            "REDIS_EXPORTER_WEB_TELEMETRY_PATH": "/m",
            "REDIS_EXPORTER_LOG_FORMAT": "txt",
            "REDIS_EXPORTER_CONNECTION_TIMEOUT": "15s",
        },
    )
    assert [target.name for target in loaded.targets] == ["a:1", "b:6379", "c:3"]
    assert {target.credentials() for target in loaded.targets} == {("me", "hunter2")}
    assert (loaded.settings.listen, loaded.settings.telemetry_path) == ("0.0.0.0:9121", "/m")
    assert loaded.settings.log.format == "logfmt"
    assert loaded.targets[0].connection.socket_timeout == loaded.targets[0].connection.socket_connect_timeout == 15


def test_our_own_name_is_stronger_than_a_fixed_one_and_that_stronger_than_an_alias(tmp_path: Path) -> None:
    environ = {"REDIS_EXPORTER_CONNECTION_TIMEOUT": "1s", "REDIS_SOCKET_TIMEOUT": "2"}
    assert read(tmp_path, environ).targets[0].connection.socket_timeout == 2
    environ["REDIS_PULSE_CONNECTION__SOCKET_TIMEOUT"] = "3s"
    assert read(tmp_path, environ).targets[0].connection.socket_timeout == 3


def test_a_variable_that_is_empty_sets_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, {"LOG_LEVEL": "", "REDIS_PULSE_PROBE_INTERVAL": ""}).settings.log.level == "info"


def test_every_name_in_the_environment_means_one_thing() -> None:
    own = [path for path, _ in leaves()]
    names = [name for name in ENVIRONMENT if name not in REDIS_EXPORTER_ENV and name not in UNPREFIXED_ENV]
    assert {ENVIRONMENT[name] for name in names} == {(path,) for path in own}
    assert len(names) == len(own) + len([path for path in own if len(path) > 1])


def test_a_password_with_a_comma_does_not_part_a_url(tmp_path: Path) -> None:
    (target,) = read(tmp_path, {"REDIS_URL": "redis://:a,b@cart"}).targets
    assert target.credentials() == (None, "a,b")
    assert len(read(tmp_path, {"REDIS_URL": "redis://:a,b@cart,other=rediss://b"}).targets) == 2


def test_both_names_of_the_url_at_once_give_a_warning(tmp_path: Path) -> None:
    loaded = read(tmp_path, {"REDIS_URL": "a", "REDIS_ADDR": "b"})
    assert [target.name for target in loaded.targets] == ["a:6379"]
    assert loaded.warnings == ("REDIS_ADDR is not used, since REDIS_URL is set",)


def test_an_unknown_name_of_ours_is_warned_about_without_its_value(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("REDIS_PULSE_LISTN=hunter2\nOTHER=x\n")
    loaded = read(tmp_path, {"REDIS_PULSE_PASWORD": "hunter2", "REDIS_PULSE_ZZZ": "hunter2", "REDIS_URL": "a"})
    assert loaded.warnings == (
        "REDIS_PULSE_PASWORD is no setting: did you mean REDIS_PULSE_PASSWORD?",
        "REDIS_PULSE_ZZZ is no setting",
        ".env: REDIS_PULSE_LISTN is no setting: did you mean REDIS_PULSE_LISTEN?",
    )


def test_what_kubernetes_says_of_a_service_called_redis_pulse_is_no_mistake(tmp_path: Path) -> None:
    """Every container beside a service gets such variables; a warning at each start would be ours to explain."""
    names = ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_9121_TCP", "PORT_9121_TCP_ADDR"]
    environ = {f"REDIS_PULSE_{name}": "tcp://10.0.0.1:9121" for name in names}
    assert read(tmp_path, environ | {"REDIS_URL": "a"}).warnings == ()


def test_a_whole_configuration_fits_into_the_environment(tmp_path: Path) -> None:
    loaded = read(
        tmp_path,
        {
            "REDIS_PULSE_TARGETS": json.dumps([{"url": "a", "module": "prod"}]),
            "REDIS_PULSE_MODULES__PROD__PASSWORD": "hunter2",
            "REDIS_PULSE_MODULES__PROD__TLS__SERVER_NAME": "x",
            "REDIS_PULSE_MODULES__PROD__LABELS": '{"team": "web"}',
            "REDIS_PULSE_COLLECTORS": "info,slowlog",
        },
    )
    (target,) = loaded.targets
    assert target.credentials() == (None, "hunter2")
    assert (target.tls.server_name, target.labels) == ("x", {"team": "web"})
    assert target.collectors == {"info": {}, "slowlog": {}}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("REDIS_URL", "reids://:hunter2@a", "REDIS_URL has the unknown scheme reids://: did you mean redis://?"),
        ("REDIS_ADDR", "a,b:hunter2", "REDIS_ADDR: redis_url[1] must have a port between 1 and 65535"),
        ("REDIS_SOCKET_TIMEOUT", "soon", "REDIS_SOCKET_TIMEOUT must be a duration"),
        ("DEBUG", "perhaps", "DEBUG must be true or false"),
        ("REDIS_PULSE_TARGETS", '[{"hunter2"}]', "REDIS_PULSE_TARGETS is not valid JSON"),
        (
            "REDIS_PULSE_TARGETS",
            '[{"url": "a", "passwrd": "hunter2"}]',
            "REDIS_PULSE_TARGETS: targets[0].passwrd is no",
        ),
        ("REDIS_PULSE_TARGETS", "hunter2", "REDIS_PULSE_TARGETS must be a list"),
        ("REDIS_PASSWORD_FILE", "hunter2", "REDIS_PASSWORD_FILE names a file that does not exist (looked for in "),
        ("REDIS_PULSE_MODULES__X__TLS__CHECK_HOSTNAME", "hunter2", "REDIS_PULSE_MODULES__X__TLS__CHECK_HOSTNAME must"),
        ("REDIS_PULSE_SECRETS_DIR", "nowhere", "REDIS_PULSE_SECRETS_DIR names a folder that cannot be read"),
        ("REDIS_PULSE_CONFIG", "nowhere.yaml", "nowhere.yaml does not exist"),
    ],
)
def test_a_bad_variable_is_named_with_what_is_wrong_and_without_its_value(
    tmp_path: Path, name: str, value: str, said: str
) -> None:
    error = told(tmp_path, {name: value})
    assert error.startswith(said)
    assert "hunter2" not in error


def test_problems_of_all_sources_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("probe: {timeout: never}")
    (tmp_path / ".env").write_text("REDIS_PULSE_POLL_TIMEOUT=x\n")
    error = told(tmp_path, {"REDIS_PULSE_POLL_INTERVAL": "y"}, config="c.yaml", log_level="loud")
    assert sorted(line.partition(" ")[0] for line in error.splitlines()) == [
        "--log-level",
        ".env:",
        "REDIS_PULSE_POLL_INTERVAL",
        "c.yaml:1:",
    ]


def test_an_unreadable_dotenv_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"LOG_LEVEL=\xff\n")
    assert told(tmp_path).endswith(".env is not UTF-8 text")


def test_a_folder_of_secrets_sets_what_its_files_are_called(tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    (folder / "..data").mkdir(parents=True)
    (folder / "REDIS_PASSWORD").write_text("hunter2\n")
    (folder / "modules__prod__password").write_text("hunter3\r\n")
    (folder / "something-else").write_text("hunter4")
    (tmp_path / "c.yaml").write_text("targets: [{url: a, module: prod}]\nmodules: {prod: {username: me}}")
    loaded = read(
        tmp_path, {"REDIS_PULSE_SECRETS_DIR": str(folder), "REDIS_URL": "redis://b", "REDIS_PULSE_CONFIG": "c.yaml"}
    )
    assert [target.credentials() for target in loaded.targets] == [("me", "hunter3"), (None, "hunter2")]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\xff", "password is not UTF-8 text"), (b"x" * (1 << 21), "password is too large for a secret")],
)
def test_a_secret_that_is_none_is_told(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "password").write_bytes(content)
    assert told(tmp_path, {"REDIS_PULSE_SECRETS_DIR": "secrets"}).endswith(said)


def test_a_password_on_the_command_line_is_warned_about(tmp_path: Path) -> None:
    loaded = read(tmp_path, redis_url=["cart=redis://:hunter2@a"])
    assert [target.name for target in loaded.targets] == ["cart"]
    (warning,) = loaded.warnings
    assert "can see the password in --redis-url" in warning


def test_files_named_in_a_file_are_looked_for_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "password").write_text("hunter2")
    (folder / "c.yaml").write_text("targets: [{url: a, password_file: password}]")
    (target,) = read(tmp_path, config="etc/c.yaml").targets
    assert target.credentials() == (None, "hunter2")


def test_a_group_that_is_no_group_gives_way_to_what_is_set_inside_of_it(tmp_path: Path) -> None:
    environ = {"REDIS_PULSE_MODULES": "[7]", "REDIS_PULSE_MODULES__PROD__USERNAME": "me"}
    assert read(tmp_path, environ | {"REDIS_URL": "a"}).settings.modules["prod"].username == "me"


def test_a_variable_of_a_module_that_means_nothing_is_warned_about(tmp_path: Path) -> None:
    loaded = read(tmp_path, {"REDIS_PULSE_MODULES__PROD__PASWORD": "hunter2", "REDIS_URL": "a"})
    assert loaded.warnings == ("REDIS_PULSE_MODULES__PROD__PASWORD is no setting",)
