"""Orders and reports arrive as they were sent, however the stream is cut."""

from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.pinger.messages import DATA, LEND, ORDER_BYTES, RETURN, WHOLE, Order, PingReport, ReportReader


def test_orders_arrive_unchanged() -> None:
    lend, back = Order(LEND, 7, 12.5, 999_999, 0.25, is_numbered=False), Order(RETURN, 7)
    assert len(lend.encode()) == len(back.encode()) == ORDER_BYTES
    assert (Order.decode(lend.encode()), Order.decode(back.encode())) == (lend, back)


@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(1, 80), min_size=1, max_size=20))
def test_reports_arrive_unchanged_in_any_pieces(contents: list[bytes], cuts: list[int]) -> None:
    reports = [
        (PingReport(number, DATA if content else WHOLE, 1, len(content), 3, 1.5, 2.5, 10**18, 0.1, 3.5, 2, 3), content)
        for number, content in enumerate(contents)
    ]
    stream = b"".join(report.encode() + content for report, content in reports)
    reader, found = ReportReader(), []
    while stream:
        size = cuts[len(stream) % len(cuts)]
        found += reader.feed(stream[:size])
        stream = stream[size:]
    assert found == reports
