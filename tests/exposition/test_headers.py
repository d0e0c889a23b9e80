from redis_pulse.exposition.rendering import with_headers
from redis_pulse.metric import counter, summary

LESS = counter("S", "f", "x_total", "X.")
PERCENT = summary("S", "f", "y", "Y.", percent=True)


def test_each_row_has_its_header_in_either_format() -> None:
    ((row, headers),) = with_headers([LESS])
    assert row is LESS
    assert headers == {
        False: b"# HELP redis_x_total X.\n# TYPE redis_x_total counter\n",
        True: b"# HELP redis_x X.\n# TYPE redis_x counter\n",
    }


def test_a_summary_in_percent_has_one_header_in_the_text_format_and_three_in_openmetrics() -> None:
    rows, headers = zip(*with_headers([PERCENT]), strict=True)
    assert rows == (PERCENT, PERCENT.openmetrics_parts["_sum"], PERCENT.openmetrics_parts["_count"])
    assert [one[False] for one in headers] == [b"# HELP redis_y Y.\n# TYPE redis_y summary\n", b"", b""]
    assert [one[True].splitlines()[1] for one in headers] == [
        b"# TYPE redis_y unknown",
        b"# TYPE redis_y_sum unknown",
        b"# TYPE redis_y_count unknown",
    ]
