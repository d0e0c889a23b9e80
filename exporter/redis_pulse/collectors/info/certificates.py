"""The TLS certificates of a server in INFO (Valkey 9.1 and later): when they expire, and their serial numbers.

redis_tls_server_cert_expires_in_seconds{target="cart"} 2591999
redis_tls_certificate_info{target="cart",certificate="server",serial="01A2"} 1

For a certificate that a server does not have, it reports the serial number ``none`` and 0 seconds. That is no expired
certificate, so it has no series.
"""
# ruff: noqa: E501 - one line per metric definition

from collections.abc import Iterator, Mapping

from redis_pulse.metric import CollectorItem, MetricSpec, gauge

_SECTION = "TLS"
_NONE = "none"


def _expiry(certificate: str, text: str) -> MetricSpec:
    field = f"tls_{certificate}_cert_expires_in_seconds"
    help_text = f"Time until {text} expires, negative afterwards. Absent without a certificate (Valkey 9.1 and later)."
    return gauge(_SECTION, field, field, help_text)


#: Certificate → the metric of its expiry.
EXPIRY = {
    "server": _expiry("server", "the certificate that the server shows to clients"),
    "client": _expiry("client", "the certificate that the server shows to its master and to other nodes"),
    "ca": _expiry("ca", "the first certificate authority that the server trusts"),
}
# fmt: off
INFO = gauge(_SECTION, "tls_X_cert_serial", "tls_certificate_info", "Always 1; the labels name a certificate of the server, and its serial number (Valkey 9.1 and later).", labels=("certificate", "serial"))
CA_COUNT = gauge(_SECTION, "tls_ca_cert_count", "tls_ca_cert_count", "Certificate authorities that the server trusts (Valkey after 9.1).")
# fmt: on
CERTIFICATES: tuple[MetricSpec, ...] = (*EXPIRY.values(), INFO, CA_COUNT)


def read_certificates(tls: Mapping[str, str]) -> Iterator[CollectorItem | None]:
    """Read the section TLS."""
    for certificate, metric in EXPIRY.items():
        serial = tls.get(f"tls_{certificate}_cert_serial", "")
        if serial and serial != _NONE:
            yield INFO.sample(1.0, certificate, serial)
            yield metric.parse(tls.get(metric.field, ""))
    yield CA_COUNT.parse(tls.get(CA_COUNT.field, ""))
