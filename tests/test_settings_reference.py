"""Every setting has a row in the documentation."""

from tools.settings_reference import rows

CONTRACT = {
    "REDIS_URL": "",
    "REDIS_MAX_CONNECTIONS": "10",
    "REDIS_SOCKET_TIMEOUT": "5s",
    "REDIS_SOCKET_CONNECT_TIMEOUT": "5s",
    "REDIS_SOCKET_KEEPALIVE": "true",
    "REDIS_HEALTH_CHECK_INTERVAL": "30s",
    "REDIS_RETRY_ON_TIMEOUT": "false",
    "REDIS_SSL_CERT_REQS": "required",
    "DEBUG": "false",
    "LOG_LEVEL": "info",
    "REDIS_ADDR": "",
    "REDIS_USER": "",
    "REDIS_PASSWORD": "",
    "REDIS_PASSWORD_FILE": "",
    "REDIS_EXPORTER_WEB_LISTEN_ADDRESS": ":9121",
    "REDIS_EXPORTER_WEB_TELEMETRY_PATH": "/metrics",
    "REDIS_EXPORTER_LOG_FORMAT": "logfmt",
    "REDIS_EXPORTER_CONNECTION_TIMEOUT": "5s",
    "REDIS_PULSE_PROBE_INTERVAL": "1s",
}


def test_defaults_of_published_variables_do_not_change() -> None:
    defaults = {name: row.default for row in rows() for name in row.environment}
    assert {name: defaults.get(name) for name in CONTRACT} == CONTRACT


def test_every_setting_has_a_description_and_a_type() -> None:
    for row in rows():
        assert row.description.endswith("."), row.path
        assert row.type, row.path


def test_every_setting_has_one_row() -> None:
    paths = [row.path for row in rows()]
    assert len(set(paths)) == len(paths)


def test_types_are_written_in_words() -> None:
    types = {row.path: row.type for row in rows()}
    assert types["probe.interval"] == "duration"
    assert types["targets[].db"] == "whole number"
    assert types["modules.NAME.password"] == "secret text"
    assert types["log.format"] == "logfmt, json"
    assert types["log.slow_reply"] == "duration or off"
    assert types["modules.NAME.probe"] == "mapping"
