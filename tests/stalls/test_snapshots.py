"""Three snapshots are enough: the newest before a stall, and an older one for the usual rates."""

from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.stalls.snapshots import MAX_BYTES, RawSnapshot, SnapshotHistory, cpu_seconds


def filled(count: int) -> SnapshotHistory:
    history = SnapshotHistory()
    for at in range(count):
        history.add(RawSnapshot(float(at), b"# Server\r\n"))
    return history


def test_newest_before_a_moment_is_found() -> None:
    history = filled(10)
    assert [history.before(moment) for moment in (9.0, 8.5)] == [RawSnapshot(at, b"# Server\r\n") for at in (9.0, 8.0)]
    assert filled(0).before(5.0) is None


def test_older_snapshot_is_kept_for_a_while() -> None:
    history = filled(100)
    newest = history.before(1000.0)
    assert newest is not None
    older = history.earlier(newest)
    assert older is not None
    assert 1 <= newest.at - older.at <= 60
    assert filled(1).earlier(RawSnapshot(0.0, b"")) is None


def test_huge_reply_is_cut_at_a_line() -> None:
    history = SnapshotHistory()
    history.add(RawSnapshot(1.0, b"name:1\r\n" * MAX_BYTES))
    kept = history.before(2.0)
    assert kept is not None
    assert len(kept.raw) <= MAX_BYTES
    assert kept.raw.endswith(b"name:1")


def cpu_info(cpu: float, *, thread: float | None = None) -> bytes:
    own = "" if thread is None else f"used_cpu_sys_main_thread:0.0\r\nused_cpu_user_main_thread:{thread}\r\n"
    return f"# CPU\r\nused_cpu_sys:0.5\r\nused_cpu_user:{cpu}\r\nused_cpu_sys_children:9\r\n{own}".encode()


def test_cpu_time_is_that_of_the_main_thread_if_the_server_counts_it() -> None:
    assert cpu_seconds(cpu_info(2.0)) == 2.5
    assert cpu_seconds(cpu_info(2.0, thread=1.25)) == 1.25
    assert cpu_seconds(b"used_cpu_sys:1\r\n") is None
    assert cpu_seconds(b"used_cpu_sys:x\r\nused_cpu_user:\xff\r\n") is None


def test_cpu_use_around_a_moment_is_kept_for_the_next_poll() -> None:
    history = SnapshotHistory()
    for second in range(20):
        history.add(RawSnapshot(float(second), cpu_info(0.1 * second + (0.5 if second > 10 else 0.0))))
    used = history.cpu_between(10.2, 10.7)
    assert used is not None
    assert (used.window, round(used.used, 6), round(used.rate, 6)) == (1.0, 0.6, 0.1)
    assert history.cpu_between(18.5, 19.5) is None
    history.add(RawSnapshot(20.0, cpu_info(0.0)))
    assert history.cpu_between(10.2, 10.7) is None, "another process answers"


@given(st.binary(max_size=200))
def test_any_info_gives_a_cpu_time_or_none(raw: bytes) -> None:
    value = cpu_seconds(raw + b"used_cpu_user:" + raw)
    assert value is None or value >= 0


def test_oldest_cpu_times_are_forgotten_first() -> None:
    history = SnapshotHistory()
    for at in range(200):
        history.add(RawSnapshot(float(at), f"# CPU\r\nused_cpu_sys:{at / 4}\r\nused_cpu_user:{at / 4}\r\n".encode()))
    assert history.cpu_between(100.0, 101.0) is None
    used = history.cpu_between(197.0, 198.0)
    assert used is not None
    assert used == (0.5, 1.0, 0.5)
