from collections.abc import Mapping

from redis_pulse.collectors.info.certificates import read_certificates
from redis_pulse.metric import Sample, UnreadableField


def read(tls: Mapping[str, str]) -> dict[tuple[str, ...], float]:
    items = list(read_certificates(tls))
    return {(item.metric.name, *item.labels): item.value for item in items if isinstance(item, Sample)}


def test_each_certificate_has_its_expiry_and_its_serial_number() -> None:
    tls = {
        "tls_server_cert_serial": "01A2",
        "tls_server_cert_expires_in_seconds": "47",
        "tls_client_cert_serial": "02B3",
        "tls_client_cert_expires_in_seconds": "-48",
        "tls_ca_cert_serial": "03C4",
        "tls_ca_cert_expires_in_seconds": "49",
        "tls_ca_cert_count": "2",
    }
    assert read(tls) == {
        ("tls_certificate_info", "server", "01A2"): 1,
        ("tls_server_cert_expires_in_seconds",): 47,
        ("tls_certificate_info", "client", "02B3"): 1,
        ("tls_client_cert_expires_in_seconds",): -48,
        ("tls_certificate_info", "ca", "03C4"): 1,
        ("tls_ca_cert_expires_in_seconds",): 49,
        ("tls_ca_cert_count",): 2,
    }


def test_missing_certificate_is_not_an_expired_one() -> None:
    """A server without TLS reports 0 seconds. An alert on few seconds must not fire for it."""
    for certificate in ("server", "client", "ca"):
        assert read({f"tls_{certificate}_cert_serial": "none", f"tls_{certificate}_cert_expires_in_seconds": "0"}) == {}
    assert read({}) == {}


def test_expiry_that_is_no_number_is_counted() -> None:
    tls = {"tls_server_cert_serial": "01A2", "tls_server_cert_expires_in_seconds": "soon"}
    assert UnreadableField("TLS/tls_server_cert_expires_in_seconds") in list(read_certificates(tls))
