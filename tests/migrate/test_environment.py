"""Each variable of redis_exporter has an effect or a warning. One that protected the pages stops the start."""

from pathlib import Path
from typing import Any

import pytest

from redis_pulse.collectors import load as load_collectors
from redis_pulse.config import ConfigError, LoadedConfig, load
from redis_pulse.config.setting_sources import REDIS_EXPORTER_ENV
from redis_pulse.migrate import FLAG_TABLE, Flag, inherit
from redis_pulse.migrate.flag_parser import VARIABLES

SECRET = "hunter2-and-more"
SETS = {"default": [name for name, collector in load_collectors().items() if collector.default]}


def loaded(directory: Path, **environ: str) -> LoadedConfig:
    """Load the environment as the daemon does."""
    return load(None, {"REDIS_ADDR": "cart", **environ}, directory, sets=SETS, inherit=inherit)


def collectors_of(config: LoadedConfig) -> dict[str, Any]:
    (target,) = config.targets
    assert target.collectors is not None
    return target.collectors


def test_tls_variables_are_converted(tmp_path: Path) -> None:
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text("x")
    config = loaded(
        tmp_path,
        REDIS_ADDR="rediss://cart",
        REDIS_EXPORTER_TLS_CA_CERT_FILE=str(tmp_path / "ca"),
        REDIS_EXPORTER_TLS_CLIENT_CERT_FILE="cert",
        REDIS_EXPORTER_TLS_CLIENT_KEY_FILE="./key",
        REDIS_EXPORTER_TLS_SERVER_NAME="cart.internal",
    )
    tls = config.targets[0].tls
    assert (tls.ca_file, tls.cert_file, tls.key_file) == (tmp_path / "ca", tmp_path / "cert", tmp_path / "key")
    assert (tls.server_name, tls.cert_reqs, config.warnings) == ("cart.internal", "required", ())


def test_missing_certificate_stops_the_start_and_names_its_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^REDIS_EXPORTER_TLS_CA_CERT_FILE.* names a file that does not exist"):
        loaded(tmp_path, REDIS_ADDR="rediss://cart", REDIS_EXPORTER_TLS_CA_CERT_FILE="ca.pem")


def test_switches_are_parsed_as_go_parses_them(tmp_path: Path) -> None:
    config = loaded(tmp_path, REDIS_EXPORTER_SKIP_TLS_VERIFICATION="T", REDIS_EXPORTER_DEBUG="1")
    assert (config.targets[0].tls.cert_reqs, config.settings.log.level) == ("none", "debug")
    config = loaded(tmp_path, REDIS_EXPORTER_SKIP_TLS_VERIFICATION="perhaps")
    assert config.targets[0].tls.cert_reqs == "required"
    assert config.warnings == ("REDIS_EXPORTER_SKIP_TLS_VERIFICATION is neither true nor false, and is ignored",)


def test_collectors_are_added_to_the_default_set(tmp_path: Path) -> None:
    config = loaded(tmp_path, REDIS_EXPORTER_CHECK_SINGLE_KEYS="a", REDIS_EXPORTER_EXCLUDE_SLOWLOG_METRICS="true")
    chosen = collectors_of(config)
    assert chosen.keys() == {*SETS["default"], "keys"} - {"slowlog"}
    assert chosen["keys"] == {"keys": ["a"], "values": True, "text_values": True}


def test_inherited_collectors_are_dropped_if_collectors_are_set(tmp_path: Path) -> None:
    config = loaded(tmp_path, REDIS_PULSE_COLLECTORS="info", REDIS_EXPORTER_CHECK_KEYS="a*")
    assert collectors_of(config) == {"info": {}}
    assert config.warnings == ("REDIS_EXPORTER_CHECK_KEYS is not used, because collectors are set",)


def test_dotenv_variables_are_converted_and_the_file_is_stronger(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("REDIS_EXPORTER_DEBUG=true\nREDIS_EXPORTER_TLS_SERVER_NAME=theirs\n")
    (tmp_path / "c.yaml").write_text("tls: {server_name: ours}\nweb: {health_status: by-target}")
    config = loaded(tmp_path, REDIS_PULSE_CONFIG="c.yaml")
    assert (config.settings.log.level, config.settings.tls.server_name) == ("debug", "ours")
    assert config.settings.web.health_status == "by-target"


def test_tls_variables_of_operators_are_accepted(tmp_path: Path) -> None:
    """Some operators set all of these, and disable the check of the certificate."""
    for name in ("ca.crt", "tls.crt", "tls.key"):
        (tmp_path / name).write_text("x")
    tls = (
        loaded(
            tmp_path,
            REDIS_ADDR="rediss://local.inject:6379",
            REDIS_EXPORTER_TLS_CLIENT_KEY_FILE="tls.key",
            REDIS_EXPORTER_TLS_CLIENT_CERT_FILE="tls.crt",
            REDIS_EXPORTER_TLS_CA_CERT_FILE="ca.crt",
            REDIS_EXPORTER_SKIP_TLS_VERIFICATION="true",
            REDIS_EXPORTER_IS_CLUSTER="true",
        )
        .targets[0]
        .tls
    )
    assert (tls.cert_reqs, tls.check_hostname, tls.cert_file) == ("none", False, tmp_path / "tls.crt")


def test_own_variables_are_stronger(tmp_path: Path) -> None:
    config = loaded(tmp_path, REDIS_EXPORTER_LOG_LEVEL="debug", REDIS_PULSE_LOG_LEVEL="error")
    assert config.settings.log.level == "error"


@pytest.mark.parametrize("flag", [flag for flag in FLAG_TABLE if flag.protects], ids=lambda flag: flag.name)
def test_variable_that_protected_the_pages_stops_the_start(flag: Flag, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, **{flag.variable: SECRET})
    message = str(caught.value)
    assert message.startswith(f"{flag.variable} protects the pages of redis_exporter, but has no effect here (")
    assert "web configuration file" in message
    assert SECRET not in message


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (
            "REDIS_EXPORTER_NAMESPACE",
            "cache",
            "REDIS_EXPORTER_NAMESPACE has no effect: Names always begin with redis_",
        ),
        ("REDIS_EXPORTER_CHECK_KEY_GROUPS", "%bxy", "its value cannot be converted"),
        ("REDIS_EXPORTER_CHEK_KEYS", "a", "and is ignored: did you mean REDIS_EXPORTER_CHECK_KEYS?"),
        ("REDIS_EXPORTER_REDACT_CONFIG_METRICS", "false", "REDIS_EXPORTER_REDACT_CONFIG_METRICS has no effect"),
    ],
)
def test_variable_without_effect_gets_one_warning_with_a_hint(
    name: str, value: str, expected: str, tmp_path: Path
) -> None:
    (warning,) = loaded(tmp_path, **{name: value}).warnings
    assert warning.startswith(name)
    assert expected in warning


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_EXPORTER_PING_ON_CONNECT", "true"),
        ("REDIS_EXPORTER_PING_ON_CONNECT", "0"),
        ("REDIS_EXPORTER_DISABLE_SCRAPE_ENDPOINT", "true"),
        ("REDIS_EXPORTER_NAMESPACE", "redis"),
        ("REDIS_EXPORTER_NAMESPACE", ""),
        ("REDIS_EXPORTER_SERVICE_HOST", "10.0.0.1"),
        ("REDIS_EXPORTER_PORT_9121_TCP_ADDR", "10.0.0.1"),
        ("REDIS_EXPORTER_METRICS_SERVICE_PORT_HTTP", "9121"),
    ],
)
def test_default_values_and_service_links_get_no_warning(name: str, value: str, tmp_path: Path) -> None:
    assert loaded(tmp_path, **{name: value}).warnings == ()


# Variables that are also settings may repeat values that cannot be secrets: a duration, a format.
@pytest.mark.parametrize("name", sorted(set(VARIABLES) - set(REDIS_EXPORTER_ENV)))
def test_no_value_is_repeated(name: str, tmp_path: Path) -> None:
    try:
        messages = " ".join(loaded(tmp_path, **{name: SECRET}).warnings)
    except ConfigError as error:
        messages = str(error)
    assert SECRET not in messages


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({}, "always-200"),
        ({"REDIS_ADDR": "", "REDIS_EXPORTER_WEB_LISTEN_ADDRESS": ":9121"}, "always-200"),
        ({"REDIS_ADDR": "", "REDIS_EXPORTER_NAMESPACE": "redis"}, "always-200"),
        ({"REDIS_PULSE_WEB_HEALTH_STATUS": "by-target"}, "by-target"),
        ({"REDIS_ADDR": "", "REDIS_EXPORTER_SERVICE_HOST": "10.0.0.1"}, "by-target"),
        ({"REDIS_ADDR": "", "REDIS_URL": "cart"}, "by-target"),
    ],
)
def test_variables_of_redis_exporter_change_the_default_health_status(
    environ: dict[str, str], status: str, tmp_path: Path
) -> None:
    """An operator that checks /health of its sidecar must not restart it in an outage of Redis."""
    assert loaded(tmp_path, **environ).settings.web.health_status == status
