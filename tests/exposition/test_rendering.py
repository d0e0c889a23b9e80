"""What a collector found becomes lines that Prometheus reads back as they were."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families as parse_text

from redis_pulse.exposition import render
from redis_pulse.metric import gauge, histogram, summary

LABELLED = gauge("Keyspace", "keys", "db_keys", "Keys of a database.", labels=("db",))


def test_of_two_samples_of_one_series_only_one_is_shown() -> None:
    """Prometheus drops the whole scrape for a series that stands twice with different values."""
    lines = render("a", [LABELLED.sample(1, "db0"), LABELLED.sample(2, "db0")])
    assert lines == {LABELLED: b'redis_db_keys{target="a",db="db0"} 2\n'}


def test_distributions_bear_their_suffix_and_their_edge() -> None:
    row = histogram("S", "f", "x_seconds", "X.", labels=("cmd",))
    assert render("a", row.distribution([("0.1", 1)], 2.5, 3, "get"))[row].decode().splitlines() == [
        'redis_x_seconds_bucket{target="a",cmd="get",le="0.1"} 1',
        'redis_x_seconds_bucket{target="a",cmd="get",le="+Inf"} 3',
        'redis_x_seconds_sum{target="a",cmd="get"} 2.5',
        'redis_x_seconds_count{target="a",cmd="get"} 3',
    ]
    quantiles = summary("S", "f", "y", "Y.")
    assert render("a", quantiles.distribution([("0.5", 1)], 2, 3))[quantiles].splitlines()[0] == (
        b'redis_y{target="a",quantile="0.5"} 1'
    )


def test_series_of_one_row_that_come_in_turns_keep_their_labels() -> None:
    """The labels of the series before are not taken for those of the next."""
    other = gauge("S", "f", "other", "O.", labels=("name",))
    labels = ("a",)
    lines = render("t", [LABELLED.sample(1, *labels), other.sample(2, *labels), LABELLED.sample(3, "b")])
    assert lines == {
        LABELLED: b'redis_db_keys{target="t",db="a"} 1\nredis_db_keys{target="t",db="b"} 3\n',
        other: b'redis_other{target="t",name="a"} 2\n',
    }


@given(st.text())
def test_whatever_a_label_holds_comes_back_from_the_parser(text: str) -> None:
    line = render(text, [LABELLED.sample(1, text)])[LABELLED].decode()
    (family,) = parse_text(line)
    if "\r" not in text:  # the parser splits lines at carriage returns too
        assert family.samples[0].labels == {"target": text, "db": text}
