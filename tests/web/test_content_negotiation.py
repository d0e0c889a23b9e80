"""Tests of ``Accept`` and ``Accept-Encoding``: the client gets the format that it prefers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.web.content_negotiation import accepts_gzip, choose_format

TEXT = "text/plain; version=0.0.4; charset=utf-8"
TEXT_1 = "text/plain; version=1.0.0; charset=utf-8"
PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        pytest.param("", TEXT, id="nothing"),
        pytest.param("*/*", TEXT, id="curl"),
        pytest.param("text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8", TEXT, id="browser"),
        pytest.param("application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", TEXT),
        pytest.param(
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
            "text/plain;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            OPENMETRICS,
            id="prometheus-2",
        ),
        pytest.param(
            "text/plain;version=0.0.4;q=0.2,*/*;q=0.1,application/openmetrics-text;version=1.0.0;q=0.5",
            OPENMETRICS,
            id="another-order",
        ),
        pytest.param(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
            "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
            "text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            f"{OPENMETRICS}; escaping=allow-utf-8",
            id="prometheus-3",
        ),
        pytest.param(
            "text/plain;version=1.0.0;escaping=underscores;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1",
            f"{TEXT_1}; escaping=underscores",
            id="prometheus-3-text-first",
        ),
        pytest.param(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
            "text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
            PROTOBUF,
            id="prometheus-2-with-native-histograms",
        ),
        pytest.param(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;"
            "escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
            "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
            "text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            f"{PROTOBUF}; escaping=allow-utf-8",
            id="prometheus-3-with-native-histograms",
        ),
        pytest.param(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.2,"
            "text/plain;q=0.3",
            TEXT,
            id="protobuf-last",
        ),
        pytest.param("application/vnd.google.protobuf", TEXT, id="protobuf-without-parameters"),
        pytest.param("application/*", OPENMETRICS, id="no-protobuf-by-a-wildcard"),
        pytest.param(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text", TEXT, id="as-text"
        ),
        pytest.param(
            'application/vnd.google.protobuf; encoding="delimited"; proto="io.prometheus.client.MetricFamily"',
            PROTOBUF,
            id="protobuf-quoted",
        ),
        pytest.param(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=dots",
            f"{PROTOBUF}; escaping=underscores",
            id="protobuf-not-dots",
        ),
        pytest.param("text/plain;version=1.0.0", TEXT_1, id="no-escaping"),
        pytest.param("text/plain;version=1.0.0;escaping=dots", f"{TEXT_1}; escaping=underscores", id="not-dots"),
        pytest.param("text/plain;version=1.0.0;escaping=\r\nx:y", f"{TEXT_1}; escaping=underscores", id="injection"),
        pytest.param("application/openmetrics-text", OPENMETRICS, id="no-version"),
        pytest.param('Application/OpenMetrics-Text; Version="1.0.0"', OPENMETRICS, id="case-and-quotes"),
        pytest.param("application/openmetrics-text;version=1.0.0;q=0,*/*", TEXT, id="q-0"),
        pytest.param("*/*;q=0.1,text/*;q=0", OPENMETRICS, id="no-text-at-all"),
        pytest.param("text/plain;q=0.5,application/openmetrics-text;version=1.0.0;q=.9", OPENMETRICS, id="bare-point"),
        pytest.param("application/openmetrics-text;version=1.0.0;q=nan,text/plain;q=0.1", TEXT, id="bad-q"),
        pytest.param("application/openmetrics-text,text/plain", OPENMETRICS, id="same-q-first-named"),
        pytest.param("text/plain,application/openmetrics-text", TEXT, id="same-q-first-named-text"),
        pytest.param("image/png", TEXT, id="unknown-format"),
        pytest.param("*/*;q=0", TEXT, id="nothing-accepted"),
    ],
)
def test_format_is_the_one_that_the_client_prefers(accept: str, content_type: str) -> None:
    exposition_format = choose_format(accept)
    assert exposition_format.content_type == content_type
    assert exposition_format.openmetrics == ("openmetrics" in content_type)
    assert exposition_format.protobuf == ("protobuf" in content_type)


@pytest.mark.parametrize(
    ("accept_encoding", "wanted"),
    [
        ("", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip;q=0.0, *", False),
        ("*", True),
        ("*;q=0", False),
        ("x-gzip", True),
        ("identity", False),
        ("gzip;q=0.5, identity", False),
        ("br, zstd", False),
        ("gzipped", False),
    ],
)
def test_gzip_is_used_if_the_client_accepts_it(accept_encoding: str, wanted: bool) -> None:
    assert accepts_gzip(accept_encoding) is wanted


@given(st.text(alphabet='textplain/*;=,.q01 \t"version-openmetrics\x00é'))
def test_any_header_yields_a_valid_format(header: str) -> None:
    """Any header leads to one of the known formats, in a Content-Type of one line."""
    exposition_format = choose_format(header)
    assert exposition_format.content_type.startswith((TEXT, TEXT_1, OPENMETRICS, PROTOBUF))
    assert exposition_format.content_type.isprintable()
    accepts_gzip(header)
