"""Settings come from several sources, and the strongest source that sets one decides."""

import argparse
import json
from pathlib import Path

import pytest

from redis_pulse.config import ConfigError, LoadedConfig, load
from redis_pulse.config.setting_sources import ENVIRONMENT, REDIS_EXPORTER_ENV, UNPREFIXED_ENV, setting_fields


def read(directory: Path, environ: dict[str, str] | None = None, **arguments: object) -> LoadedConfig:
    """Load with these variables and options. The default folder of secrets is empty."""
    (directory / "no-secrets").mkdir(exist_ok=True)
    variables = {"REDIS_PULSE_SECRETS_DIR": "no-secrets"} | (environ or {})
    return load(argparse.Namespace(**arguments), variables, directory)


def error_text(directory: Path, environ: dict[str, str] | None = None, **arguments: object) -> str:
    """Load a bad configuration, and return the text of the error."""
    with pytest.raises(ConfigError) as caught:
        read(directory, environ, **arguments)
    return str(caught.value)


def test_stronger_source_wins_for_all_six_sources(tmp_path: Path) -> None:
    """Remove the sources one by one, the strongest first. The next one then decides."""
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


def test_unprefixed_variables_are_read(tmp_path: Path) -> None:
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


def test_variables_of_redis_exporter_are_read(tmp_path: Path) -> None:
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


def test_password_file_is_stronger_than_a_password_beside_it(tmp_path: Path) -> None:
    """The chart of Bitnami sets both. They are the same password, and the file can be rotated."""
    (tmp_path / "password").write_text("hunter2\n")
    loaded = read(tmp_path, {"REDIS_ADDR": "a", "REDIS_PASSWORD": "8675309", "REDIS_PASSWORD_FILE": "password"})
    assert loaded.targets[0].credentials() == (None, "hunter2")
    assert loaded.warnings == ("REDIS_PASSWORD is not used, because REDIS_PASSWORD_FILE is set",)


def test_prefixed_beats_unprefixed_beats_redis_exporter_variable(tmp_path: Path) -> None:
    environ = {"REDIS_EXPORTER_CONNECTION_TIMEOUT": "1s", "REDIS_SOCKET_TIMEOUT": "2"}
    assert read(tmp_path, environ).targets[0].connection.socket_timeout == 2
    environ["REDIS_PULSE_CONNECTION__SOCKET_TIMEOUT"] = "3s"
    assert read(tmp_path, environ).targets[0].connection.socket_timeout == 3


def test_empty_variable_sets_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, {"LOG_LEVEL": "", "REDIS_PULSE_PROBE_INTERVAL": ""}).settings.log.level == "info"


def test_every_variable_sets_one_setting() -> None:
    own = [path for path, _ in setting_fields()]
    names = [name for name in ENVIRONMENT if name not in REDIS_EXPORTER_ENV and name not in UNPREFIXED_ENV]
    assert {ENVIRONMENT[name] for name in names} == {(path,) for path in own}
    assert len(names) == len(own) + len([path for path in own if len(path) > 1])


def test_comma_in_a_password_does_not_split_a_url(tmp_path: Path) -> None:
    (target,) = read(tmp_path, {"REDIS_URL": "redis://:a,b@cart"}).targets
    assert target.credentials() == (None, "a,b")
    assert len(read(tmp_path, {"REDIS_URL": "redis://:a,b@cart,other=rediss://b"}).targets) == 2


def test_redis_url_and_redis_addr_give_a_warning(tmp_path: Path) -> None:
    loaded = read(tmp_path, {"REDIS_URL": "a", "REDIS_ADDR": "b"})
    assert [target.name for target in loaded.targets] == ["a:6379"]
    assert loaded.warnings == ("REDIS_ADDR is not used, because REDIS_URL is set",)


def test_unknown_variable_gets_a_warning_without_its_value(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("REDIS_PULSE_LISTN=hunter2\nOTHER=x\n")
    loaded = read(tmp_path, {"REDIS_PULSE_PASWORD": "hunter2", "REDIS_PULSE_ZZZ": "hunter2", "REDIS_URL": "a"})
    assert loaded.warnings == (
        "REDIS_PULSE_PASWORD is not a setting: did you mean REDIS_PULSE_PASSWORD?",
        "REDIS_PULSE_ZZZ is not a setting",
        ".env: REDIS_PULSE_LISTN is not a setting: did you mean REDIS_PULSE_LISTEN?",
    )


def test_service_links_of_kubernetes_get_no_warning(tmp_path: Path) -> None:
    """Kubernetes sets these variables in every container. A warning at each start would mislead users."""
    names = ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_9121_TCP", "PORT_9121_TCP_ADDR"]
    environ = {f"REDIS_PULSE_{name}": "tcp://10.0.0.1:9121" for name in names}
    assert read(tmp_path, environ | {"REDIS_URL": "a"}).warnings == ()


def test_environment_may_hold_the_whole_configuration(tmp_path: Path) -> None:
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
    ("name", "value", "message"),
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
def test_message_names_a_bad_variable_without_its_value(tmp_path: Path, name: str, value: str, message: str) -> None:
    error = error_text(tmp_path, {name: value})
    assert error.startswith(message)
    assert "hunter2" not in error


def test_problems_of_all_sources_are_reported_together(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("probe: {timeout: never}")
    (tmp_path / ".env").write_text("REDIS_PULSE_POLL_TIMEOUT=x\n")
    error = error_text(tmp_path, {"REDIS_PULSE_POLL_INTERVAL": "y"}, config="c.yaml", log_level="loud")
    assert sorted(line.partition(" ")[0] for line in error.splitlines()) == [
        "--log-level",
        ".env:",
        "REDIS_PULSE_POLL_INTERVAL",
        "c.yaml:1:",
    ]


def test_dotenv_that_other_users_may_write_is_refused(tmp_path: Path) -> None:
    """Attack L9: a file in the working folder switched off the checks of certificates."""
    file = tmp_path / ".env"
    file.write_text("REDIS_PULSE_TLS_CERT_REQS=none\n")
    file.chmod(0o666)
    assert ".env belongs to another user, or other users may write it" in error_text(tmp_path)


def test_unreadable_dotenv_is_reported(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"LOG_LEVEL=\xff\n")
    assert error_text(tmp_path).endswith(".env is not UTF-8 text")


def test_files_of_secrets_set_the_settings_of_their_names(tmp_path: Path) -> None:
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
    ("content", "message"),
    [(b"\xff", "password is not UTF-8 text"), (b"x" * (1 << 21), "password is too large for a secret")],
)
def test_bad_secret_file_is_reported(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "password").write_bytes(content)
    assert error_text(tmp_path, {"REDIS_PULSE_SECRETS_DIR": "secrets"}).endswith(message)


def test_password_on_the_command_line_gets_a_warning(tmp_path: Path) -> None:
    loaded = read(tmp_path, redis_url=["cart=redis://:hunter2@a"])
    assert [target.name for target in loaded.targets] == ["cart"]
    (warning,) = loaded.warnings
    assert "can see the password in --redis-url" in warning


def test_paths_in_a_file_are_relative_to_it(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "password").write_text("hunter2")
    (folder / "c.yaml").write_text("targets: [{url: a, password_file: password}]")
    (target,) = read(tmp_path, config="etc/c.yaml").targets
    assert target.credentials() == (None, "hunter2")


def test_bad_group_is_replaced_by_settings_inside_of_it(tmp_path: Path) -> None:
    environ = {"REDIS_PULSE_MODULES": "[7]", "REDIS_PULSE_MODULES__PROD__USERNAME": "me"}
    assert read(tmp_path, environ | {"REDIS_URL": "a"}).settings.modules["prod"].username == "me"


def test_unknown_variable_of_a_module_gets_a_warning(tmp_path: Path) -> None:
    loaded = read(tmp_path, {"REDIS_PULSE_MODULES__PROD__PASWORD": "hunter2", "REDIS_URL": "a"})
    assert loaded.warnings == ("REDIS_PULSE_MODULES__PROD__PASWORD is not a setting",)
