"""The web configuration file: what exporter-toolkit accepts is accepted, and every problem has its location."""

from pathlib import Path

import pytest

from redis_pulse.config import ConfigError, WebConfig, bcrypt_cost, parse_web_config
from redis_pulse.config.go_tls_names import CLIENT_AUTH_TYPES, TLS12_CIPHERS, TLS13_CIPHERS

HASH = "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze"
CHEAP_HASH = HASH.replace("$10$", "$05$")
#: The example of node_exporter's documentation, and what exporter-toolkit's documentation adds.
EXAMPLE = f"""\
tls_server_config:
  cert_file: server.crt
  key_file: server.key
basic_auth_users:
  alice: {HASH}
  bob: {HASH}
rate_limit:
  interval: "1s"
  burst: 20
"""
EVERYTHING = f"""\
tls_server_config:
  cert_file: /etc/tls/server.crt
  key_file: server.key
  client_auth_type: "RequireAndVerifyClientCert"
  client_ca_file: ca.crt
  client_allowed_sans: ["prometheus.example"]
  min_version: "TLS12"
  max_version: "TLS13"
  cipher_suites: [{", ".join((*TLS12_CIPHERS, *TLS13_CIPHERS))}]
  prefer_server_cipher_suites: true
  curve_preferences: [CurveP256, CurveP384, CurveP521, X25519]
http_server_config:
  http2: true
  headers:
    Strict-Transport-Security: max-age=31536000
    X-Content-Type-Options: nosniff
    X-Frame-Options: deny
    X-XSS-Protection: "0"
    Content-Security-Policy: default-src 'none'
basic_auth_users:
  alice: {HASH}
auth_excluded_paths: [/-/healthy]
rate_limit: {{interval: 100ms, burst: 20}}
bearer_token_file: token
"""
TLS = "tls_server_config:\n  cert_file: a\n  key_file: b\n"


def parse(text: str) -> WebConfig:
    return parse_web_config(text.encode(), Path("/etc/pulse/web.yml"), shown="web.yml").config


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return str(caught.value)


def test_example_of_other_exporters_is_accepted_without_a_warning() -> None:
    config = parse(EXAMPLE)
    assert config.tls_server_config.cert_file == Path("/etc/pulse/server.crt")
    assert config.basic_auth_users["bob"].get_secret_value() == HASH
    assert (config.rate_limit.interval, config.rate_limit.burst) == (1.0, 20)
    assert config.warnings() == []


def test_relative_paths_begin_at_the_folder_of_the_file() -> None:
    tls = parse(EVERYTHING).tls_server_config
    assert [tls.cert_file, tls.key_file, tls.client_ca_file] == [
        Path("/etc/tls/server.crt"),
        Path("/etc/pulse/server.key"),
        Path("/etc/pulse/ca.crt"),
    ]


def test_settings_without_effect_are_accepted_with_one_warning_each() -> None:
    assert [warning.split()[0] for warning in parse(EVERYTHING).warnings()] == ["prefer_server_cipher_suites", "http2"]


@pytest.mark.parametrize("policy", CLIENT_AUTH_TYPES)
def test_every_policy_for_client_certificates_of_go_is_known(policy: str) -> None:
    ca = "" if policy == "NoClientCert" else "  client_ca_file: c\n"
    tls = parse(f"{TLS}{ca}  client_auth_type: {policy}\n").tls_server_config
    assert tls.requires_client is policy.startswith("Require")
    assert tls.checks_client is (policy.startswith("Require") or policy == "VerifyClientCertIfGiven")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "web.yml is empty (without TLS and without a login, leave out web.config_file)"),
        ("- a\n", "web.yml:1 must be a mapping"),
        ("tls_config: {}\n", "web.yml:1: tls_config is not a setting (did you mean tls_server_config?)"),
        (TLS + "  cert_ref: x\n", "web.yml:4: tls_server_config.cert_ref is not a setting"),
        ("tls_server_config:\n  cert_file: a\n", "tls_server_config has neither key nor key_file"),
        ("tls_server_config:\n  min_version: TLS12\n", "tls_server_config has neither cert nor cert_file"),
        (TLS + "  cert: x\n", "tls_server_config has cert and cert_file: keep one of the two"),
        (TLS + "  client_ca_file: c\n", "but no client_auth_type: no client would be checked"),
        (TLS + "  client_allowed_sans: [x]\n", "client_allowed_sans, which need client_auth_type"),
        (TLS + "  client_auth_type: RequireAnyClientCert\n", "use RequireAndVerifyClientCert"),
        (
            TLS + "  client_auth_type: RequireAndVerifyClientcert\n",
            "web.yml:4: tls_server_config.client_auth_type is not a policy for client certificates: did you mean",
        ),
        (TLS + "  min_version: TLS1.2\n", "web.yml:4: tls_server_config.min_version is not a version of TLS"),
        (TLS + "  max_version: TLS11\n", "min_version above its max_version"),
        (TLS + "  min_version: TLS10\n  max_version: TLS11\n", "max_version: TLS11, which is broken"),
        (
            TLS + "  cipher_suites: [TLS_AES_128_GCM_SHA256]\n  max_version: TLS12\n",
            "has only cipher suites of TLS 1.3",
        ),
        (TLS + "  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]\n", "cipher_suites[0] is not a cipher suite that is safe"),
        (TLS + "  curve_preferences: [P256]\n", "curve_preferences[0] is not a curve"),
        ("http_server_config: {headers: {Set-Cookie: a}}\n", "headers has a header that cannot be set"),
        ("http_server_config: {headers: {X-Frame-Options: allow}}\n", "must be deny or sameorigin"),
        ('http_server_config: {headers: {X-XSS-Protection: "a\\r\\nb: c"}}\n', "must be one line of ASCII"),
        ("rate_limit: {interval: 1s}\n", "web.yml:1: rate_limit has an interval and no burst"),
        ("rate_limit: {interval: soon, burst: 1}\n", "web.yml:1: rate_limit.interval must be a duration"),
        ("basic_auth_users:\n  alice: pa55word\n", "web.yml:2: basic_auth_users.alice must be a bcrypt hash"),
        (f'basic_auth_users:\n  "a:b": {HASH}\n', "a name with a colon"),
    ],
)
def test_unusable_file_is_refused_with_its_location(text: str, message: str) -> None:
    error = refusal(text)
    assert message in error
    assert error.startswith("web.yml")
    assert "pa55word" not in error


@pytest.mark.parametrize("text", ["tls_server_config:\nbasic_auth_users:\n", "tls_server_config: {}\n"])
def test_sections_without_content_mean_what_they_mean_in_go(text: str) -> None:
    config = parse(text)
    assert config.tls_server_config.is_empty
    assert not config.basic_auth_users


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (f"{TLS}basic_auth_users: {{a: {CHEAP_HASH}}}\n", "the bcrypt cost of a is low: use 10 or more"),
        (f"basic_auth_users: {{a: {HASH}}}\n", "a login without TLS: everyone on the path can read the password"),
        ("basic_auth_users:\n", "basic_auth_users names no user: the pages need no password"),
        (TLS + "  min_version: TLS10\n", "min_version TLS10 means TLS12: older versions are broken"),
        (TLS + "  client_auth_type: RequestClientCert\n", "means NoClientCert"),
        (TLS + "  client_auth_type: RequireClientCert\n  client_ca_file: c\n", "means RequireAndVerifyClientCert"),
    ],
)
def test_weak_setting_is_accepted_with_a_warning(text: str, warning: str) -> None:
    assert any(warning in found for found in parse(text).warnings())


@pytest.mark.parametrize(("cost", "known"), [("04", 4), ("10", 10), ("31", 31)])
def test_hash_of_any_cost_is_accepted(cost: str, known: int) -> None:
    text = HASH.replace("$10$", f"${cost}$")
    assert parse(f"basic_auth_users: {{a: {text}}}\n").basic_auth_users["a"].get_secret_value() == text
    assert bcrypt_cost(text) == known


def test_hash_does_not_stand_in_the_text_of_a_configuration() -> None:
    assert HASH not in repr(parse(EXAMPLE))
