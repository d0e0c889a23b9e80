"""Which differences of two exporters the comparison reports, and which it ignores."""

from bench.compare import Finding, Page, differences, read


def page(*lines: str, kind: str = "gauge", name: str = "redis_x") -> Page:
    return read(f"# HELP {name} X.\n# TYPE {name} {kind}\n" + "".join(f"{line}\n" for line in lines))


def compare(theirs: Page, ours: Page, their_first: Page | None = None, our_first: Page | None = None) -> list[Finding]:
    return list(differences((their_first or theirs, theirs), (our_first or ours, ours)))


def kinds(findings: list[Finding]) -> list[str]:
    return [finding.kind for finding in findings]


def test_equal_pages_have_no_difference_whatever_the_target() -> None:
    assert compare(page('redis_x{db="db0"} 1'), page('redis_x{target="cart",db="db0"} 1')) == []


def test_empty_label_equals_a_missing_label() -> None:
    assert compare(page("redis_x 1"), page('redis_x{target="cart",build=""} 1')) == []


def test_metric_missing_on_one_side_is_reported() -> None:
    empty: Page = {}
    assert kinds(compare(page("redis_x 1"), empty)) == ["missing"]
    assert kinds(compare(empty, page('redis_x{target="a"} 1'))) == ["more"]
    assert compare(page("go_x 1", name="go_x"), empty) == []


def test_type_labels_series_and_value_are_compared() -> None:
    counter = page("redis_x_total 1", kind="counter", name="redis_x_total")
    assert kinds(compare(page("redis_x_total 1", name="redis_x_total"), counter)) == ["type"]
    assert kinds(compare(page('redis_x{a="1"} 1'), page('redis_x{b="1"} 1'))) == ["labels"]
    assert kinds(compare(page('redis_x{a="1"} 1'), page('redis_x{a="2"} 1'))) == ["series", "series"]
    assert kinds(compare(page("redis_x 1"), page("redis_x 1.001"))) == ["value"]


def test_changing_value_must_only_be_close() -> None:
    assert compare(page("redis_x 1000"), page("redis_x 1100"), their_first=page("redis_x 900")) == []
    assert kinds(compare(page("redis_x 1000"), page("redis_x 5000"), their_first=page("redis_x 900"))) == ["value"]


def test_series_of_only_one_scrape_is_ignored() -> None:
    once = page('redis_x{id="1"} 1', 'redis_x{id="9"} 1')
    assert compare(once, page('redis_x{id="1"} 1'), their_first=page('redis_x{id="1"} 1')) == []


def test_quantile_is_compared_only_for_equal_counts() -> None:
    def summary(value: str, count: str) -> Page:
        return page(
            f'redis_x{{quantile="99"}} {value}', f"redis_x_sum {count}", f"redis_x_count {count}", kind="summary"
        )

    assert kinds(compare(summary("5", "10"), summary("9", "10"))) == ["value"]
    assert compare(summary("5", "10"), summary("900", "12"), our_first=summary("5", "11")) == []


def test_bucket_edges_are_compared_as_numbers() -> None:
    def histogram(edge: str) -> Page:
        return page(f'redis_x_bucket{{le="{edge}"}} 1', 'redis_x_bucket{le="+Inf"} 1', kind="histogram")

    assert compare(histogram("1"), histogram("1.0")) == []
