"""The parser of the text format that the chaos checker uses."""

import pytest

from chaos.page import Page

TEXT = """\
# HELP redis_up 1 if the server replies.
# TYPE redis_up gauge
redis_up{target="a"} 1
redis_up{target="b, \\"the\\" second\\\\\\n"} 0.0
# TYPE redis_operations_total counter
redis_operations_total{target="a",operation="ping"} 1e+03
# TYPE redis_operation_duration_seconds histogram
redis_operation_duration_seconds_bucket{target="a",operation="ping",le="+Inf"} 7
redis_operation_duration_seconds_count{target="a",operation="ping"} 7
# TYPE process_open_fds gauge
process_open_fds 12
"""


def test_samples_labels_and_types_are_parsed() -> None:
    page = Page(TEXT)
    assert page.value("redis_up", target="a") == 1
    assert page.value("redis_up", target='b, "the" second\\\n') == 0
    assert page.value("process_open_fds") == 12
    assert page.value("redis_up", target="c") is None
    assert page.sum("redis_operations_total", operation="ping") == 1000
    assert page.targets() == {"a", 'b, "the" second\\\n'}
    assert page.kind("redis_operation_duration_seconds_count") == "histogram"
    assert page.kind("redis_operations_total") == "counter"
    assert page.kind("unknown_metric") == "untyped"
    assert not page.duplicates
    assert not page.unreadable


def test_counter_without_total_in_its_type_line_is_a_counter() -> None:
    """OpenMetrics names the family of a counter without the suffix."""
    page = Page("# TYPE redis_failures counter\nredis_failures_total 1\n")
    assert page.kind("redis_failures_total") == "counter"


@pytest.mark.parametrize(
    "line",
    [
        "redis_up{target=a} 1",
        "redis_up one",
        'redis_up{target="a"}',
        'redis_up{target="a" 1',
        "redis_up{oops} 1",
        "1 2",
    ],
)
def test_malformed_line_is_unreadable(line: str) -> None:
    assert Page(f"{line}\n").unreadable == [line]


def test_duplicate_series_is_found_in_any_order_of_labels() -> None:
    page = Page('a{x="1",y="2"} 1\na{y="2",x="1"} 1\n')
    assert page.duplicates == ['a{y="2",x="1"} 1']
