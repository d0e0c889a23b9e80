"""Tests of rendering: samples become lines that Prometheus reads back unchanged, below the right headers."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from redis_pulse import collectors
from redis_pulse.exposition import render, reserved_names
from redis_pulse.exposition.rendering import with_headers
from redis_pulse.metric import counter, gauge, gauge_histogram, histogram, summary

LABELLED = gauge("Keyspace", "keys", "db_keys", "Keys of a database.", labels=("db",))
COUNTER = counter("S", "f", "x_total", "X.")
SIZES = gauge_histogram("S", "f", "sizes", "S.", labels=("db",))
PERCENT = summary("S", "f", "y", "Y.", is_percent=True)


def test_metric_has_headers_in_both_formats() -> None:
    ((spec, headers),) = with_headers([COUNTER])
    assert spec is COUNTER
    assert headers == {
        False: b"# HELP redis_x_total X.\n# TYPE redis_x_total counter\n",
        True: b"# HELP redis_x X.\n# TYPE redis_x counter\n",
    }


def test_summary_in_percent_has_three_headers_in_openmetrics() -> None:
    specs, headers = zip(*with_headers([PERCENT]), strict=True)
    assert specs == (PERCENT, PERCENT.openmetrics_parts["_sum"], PERCENT.openmetrics_parts["_count"])
    assert [header[False] for header in headers] == [b"# HELP redis_y Y.\n# TYPE redis_y summary\n", b"", b""]
    assert [header[True].splitlines()[1] for header in headers] == [
        b"# TYPE redis_y unknown",
        b"# TYPE redis_y_sum unknown",
        b"# TYPE redis_y_count unknown",
    ]


def test_gauge_histogram_is_gauges_in_the_text_format() -> None:
    """The text format has no gauge histograms. Both formats have the same series, and both can be parsed."""
    ((_, headers),) = with_headers([SIZES])
    lines = render("a", SIZES.census([("0", 1), ("1", 3)], 4, "db0"))[SIZES]
    assert headers == {
        False: b"# HELP redis_sizes_bucket S.\n# TYPE redis_sizes_bucket gauge\n",
        True: b"# HELP redis_sizes S.\n# TYPE redis_sizes gaugehistogram\n",
    }
    assert lines.decode().splitlines() == [
        'redis_sizes_bucket{target="a",db="db0",le="0"} 1',
        'redis_sizes_bucket{target="a",db="db0",le="1"} 3',
        'redis_sizes_bucket{target="a",db="db0",le="+Inf"} 4',
    ]
    (gauges,) = parse_text((headers[False] + lines).decode())
    (distribution,) = parse_openmetrics((headers[True] + lines).decode() + "# EOF\n")
    assert (gauges.type, distribution.type) == ("gauge", "gaugehistogram")
    assert gauges.samples == distribution.samples


def test_later_of_two_samples_of_one_series_is_kept() -> None:
    """Prometheus drops the whole scrape if a series occurs twice with different values."""
    lines = render("a", [LABELLED.sample(1, "db0"), LABELLED.sample(2, "db0")])
    assert lines == {LABELLED: b'redis_db_keys{target="a",db="db0"} 2\n'}


def test_distribution_has_suffixes_and_bounds() -> None:
    spec = histogram("S", "f", "x_seconds", "X.", labels=("cmd",))
    assert render("a", spec.distribution([("0.1", 1)], 2.5, 3, "get"))[spec].decode().splitlines() == [
        'redis_x_seconds_bucket{target="a",cmd="get",le="0.1"} 1',
        'redis_x_seconds_bucket{target="a",cmd="get",le="+Inf"} 3',
        'redis_x_seconds_sum{target="a",cmd="get"} 2.5',
        'redis_x_seconds_count{target="a",cmd="get"} 3',
    ]
    quantiles = summary("S", "f", "y", "Y.")
    assert render("a", quantiles.distribution([("0.5", 1)], 2, 3))[quantiles].splitlines()[0] == (
        b'redis_y{target="a",quantile="0.5"} 1'
    )


def test_alternating_series_keep_their_labels() -> None:
    """The labels of one series are not used for the next one."""
    other = gauge("S", "f", "other", "O.", labels=("name",))
    labels = ("a",)
    lines = render("t", [LABELLED.sample(1, *labels), other.sample(2, *labels), LABELLED.sample(3, "b")])
    assert lines == {
        LABELLED: b'redis_db_keys{target="t",db="a"} 1\nredis_db_keys{target="t",db="b"} 3\n',
        other: b'redis_other{target="t",name="a"} 2\n',
    }


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Zl", "Zp"]) | st.just("\n"), max_size=60))
def test_any_printable_label_value_is_read_back_by_the_parser(text: str) -> None:
    line = render(text, [LABELLED.sample(1, text)])[LABELLED].decode()
    (family,) = parse_text(line)
    assert family.samples[0].labels == {"target": text, "db": text}


def test_reserved_names_have_server_and_exporter_metrics_with_suffixes() -> None:
    """A metric that an operator defines must not have the name of an existing one."""
    names = reserved_names(collectors.load().values())
    for name in ("redis_up", "redis_memory_used_bytes", "redis_operation_duration_seconds_bucket"):
        assert name in names
    assert "shop_orders" not in names
