"""Started with variables of redis_exporter: each is understood or told; what protected the pages stops the start."""

from pathlib import Path
from typing import Any

import pytest

from redis_pulse.collectors import load as load_collectors
from redis_pulse.config import ConfigError, LoadedConfig, load
from redis_pulse.config.sources import REDIS_EXPORTER_ENV
from redis_pulse.migrate import FLAG_TABLE, Flag, inherit
from redis_pulse.migrate.flag_parser import VARIABLES

SECRET = "hunter2-and-more"
SETS = {"default": [name for name, collector in load_collectors().items() if collector.default]}


def loaded(directory: Path, **environ: str) -> LoadedConfig:
    """Load what the environment alone says, as the daemon does."""
    return load(None, {"REDIS_ADDR": "cart", **environ}, directory, sets=SETS, inherit=inherit)


def collectors_of(found: LoadedConfig) -> dict[str, Any]:
    (target,) = found.targets
    assert target.collectors is not None
    return target.collectors


def test_the_tls_of_the_servers_is_understood_and_in_force(tmp_path: Path) -> None:
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text("x")
    found = loaded(
        tmp_path,
        REDIS_ADDR="rediss://cart",
        REDIS_EXPORTER_TLS_CA_CERT_FILE=str(tmp_path / "ca"),
        REDIS_EXPORTER_TLS_CLIENT_CERT_FILE="cert",
        REDIS_EXPORTER_TLS_CLIENT_KEY_FILE="./key",
        REDIS_EXPORTER_TLS_SERVER_NAME="cart.internal",
    )
    tls = found.targets[0].tls
    assert (tls.ca_file, tls.cert_file, tls.key_file) == (tmp_path / "ca", tmp_path / "cert", tmp_path / "key")
    assert (tls.server_name, tls.cert_reqs, found.warnings) == ("cart.internal", "required", ())


def test_a_certificate_that_is_not_there_stops_the_start_under_the_name_of_its_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^REDIS_EXPORTER_TLS_CA_CERT_FILE.* names a file that does not exist"):
        loaded(tmp_path, REDIS_ADDR="rediss://cart", REDIS_EXPORTER_TLS_CA_CERT_FILE="ca.pem")


def test_switches_are_read_as_go_reads_them(tmp_path: Path) -> None:
    found = loaded(tmp_path, REDIS_EXPORTER_SKIP_TLS_VERIFICATION="T", REDIS_EXPORTER_DEBUG="1")
    assert (found.targets[0].tls.cert_reqs, found.settings.log.level) == ("none", "debug")
    found = loaded(tmp_path, REDIS_EXPORTER_SKIP_TLS_VERIFICATION="perhaps")
    assert found.targets[0].tls.cert_reqs == "required"
    assert found.warnings == ("REDIS_EXPORTER_SKIP_TLS_VERIFICATION is neither true nor false, and sets nothing",)


def test_collectors_stand_beside_the_default_set(tmp_path: Path) -> None:
    found = loaded(tmp_path, REDIS_EXPORTER_CHECK_SINGLE_KEYS="a", REDIS_EXPORTER_EXCLUDE_SLOWLOG_METRICS="true")
    chosen = collectors_of(found)
    assert chosen.keys() == {*SETS["default"], "keys"} - {"slowlog"}
    assert chosen["keys"] == {"keys": ["a"], "values": True, "text_values": True}


def test_collectors_of_a_file_of_ours_are_not_mixed_with_theirs(tmp_path: Path) -> None:
    found = loaded(tmp_path, REDIS_PULSE_COLLECTORS="info", REDIS_EXPORTER_CHECK_KEYS="a*")
    assert collectors_of(found) == {"info": {}}
    assert found.warnings == ("REDIS_EXPORTER_CHECK_KEYS is not used, since collectors are set",)


def test_a_file_of_variables_is_read_like_the_environment_and_a_configuration_is_stronger(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("REDIS_EXPORTER_DEBUG=true\nREDIS_EXPORTER_TLS_SERVER_NAME=theirs\n")
    (tmp_path / "c.yaml").write_text("tls: {server_name: ours}\nweb: {health_status: by-target}")
    found = loaded(tmp_path, REDIS_PULSE_CONFIG="c.yaml")
    assert (found.settings.log.level, found.settings.tls.server_name) == ("debug", "ours")
    assert found.settings.web.health_status == "by-target"


def test_what_operators_set_for_a_server_with_tls_starts(tmp_path: Path) -> None:
    """Several set all of these together, and switch the check of the certificate off."""
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


def test_settings_of_ours_are_stronger(tmp_path: Path) -> None:
    found = loaded(tmp_path, REDIS_EXPORTER_LOG_LEVEL="debug", REDIS_PULSE_LOG_LEVEL="error")
    assert found.settings.log.level == "error"


@pytest.mark.parametrize("row", [row for row in FLAG_TABLE if row.protects], ids=lambda row: row.flag)
def test_what_protected_the_pages_stops_the_start(row: Flag, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, **{row.variable: SECRET})
    told = str(caught.value)
    assert told.startswith(f"{row.variable} protected the pages of redis_exporter, and would not protect these (")
    assert "reverse proxy" in told
    assert SECRET not in told


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        (
            "REDIS_EXPORTER_NAMESPACE",
            "cache",
            "REDIS_EXPORTER_NAMESPACE is not in force: Names always begin with redis_",
        ),
        ("REDIS_EXPORTER_CHECK_KEY_GROUPS", "%bxy", "its value cannot be taken over"),
        ("REDIS_EXPORTER_CHEK_KEYS", "a", "and sets nothing: did you mean REDIS_EXPORTER_CHECK_KEYS?"),
        ("REDIS_EXPORTER_REDACT_CONFIG_METRICS", "false", "REDIS_EXPORTER_REDACT_CONFIG_METRICS is not in force"),
    ],
)
def test_what_is_not_in_force_is_told_once_with_its_cure(name: str, value: str, told: str, tmp_path: Path) -> None:
    (warning,) = loaded(tmp_path, **{name: value}).warnings
    assert warning.startswith(name)
    assert told in warning


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
def test_what_is_so_anyway_and_what_kubernetes_sets_is_not_told(name: str, value: str, tmp_path: Path) -> None:
    assert loaded(tmp_path, **{name: value}).warnings == ()


# Those that are settings of ours may repeat what cannot be a secret: a duration, a format.
@pytest.mark.parametrize("name", sorted(set(VARIABLES) - set(REDIS_EXPORTER_ENV)))
def test_no_value_is_ever_repeated(name: str, tmp_path: Path) -> None:
    try:
        told = " ".join(loaded(tmp_path, **{name: SECRET}).warnings)
    except ConfigError as error:
        told = str(error)
    assert SECRET not in told


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
def test_health_is_answered_as_redis_exporter_does_where_its_variables_are_set(
    environ: dict[str, str], status: str, tmp_path: Path
) -> None:
    """An operator that asks its sidecar's /health must find it alive in an outage of Redis."""
    assert loaded(tmp_path, **environ).settings.web.health_status == status
