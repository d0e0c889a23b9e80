"""Three snapshots are enough: the newest before a stall, and an older one for the usual rates."""

from redis_pulse.stalls.snapshots import MAX_BYTES, RawSnapshot, SnapshotHistory


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
