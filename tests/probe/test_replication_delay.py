"""The delay of a replica is the age of the oldest write that it does not have."""

from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.probe.replication_delay import HeartbeatRegistry, PrimaryWrites, ReplicaProgress


def writes_at(*times: float) -> PrimaryWrites:
    writes = PrimaryWrites("w")
    for time in times:
        writes.record_write(time)
    return writes


def test_replica_with_the_newest_write_is_not_behind() -> None:
    assert writes_at(10, 11, 12).delay(shown=2, now=20) == 0


def test_replica_is_behind_by_the_age_of_the_oldest_missing_write() -> None:
    writes = writes_at(10, 11, 12)
    assert writes.delay(shown=0, now=12.5) == 1.5
    assert writes.delay(shown=-1, now=12.5) == 2.5


def test_delay_grows_while_nothing_arrives() -> None:
    """Also when the key has expired on the replica, or the replica does not answer at all."""
    writes, progress = writes_at(10, 11), ReplicaProgress()
    progress.record_read(writes, "w:0")
    assert progress.delay(12) == 1
    progress.record_read(writes, None)
    assert progress.delay(60) == 49


def test_value_of_another_writer_changes_nothing() -> None:
    writes, progress = writes_at(10, 11), ReplicaProgress()
    for text in ("x:1", "w:", "w:-1", "w:1e3", "1", ""):
        progress.record_read(writes, text)
    assert progress.delay(12) == 2


def test_number_from_the_future_is_limited_to_the_newest_write() -> None:
    """An earlier process of this daemon may have left such a value behind."""
    writes, progress = writes_at(10), ReplicaProgress()
    progress.record_read(writes, "w:999")
    writes.record_write(20)
    assert progress.delay(25) == 5


def test_replica_of_another_primary_starts_again() -> None:
    first, second, progress = writes_at(10), PrimaryWrites("v"), ReplicaProgress()
    progress.record_read(first, "w:0")
    second.record_write(50)
    progress.record_read(second, "w:0")
    assert progress.delay(51) == 1


def test_delay_is_unknown_before_the_primary_is_known() -> None:
    assert ReplicaProgress().delay(1) is None


def test_writes_are_known_by_primary_after_the_first_write() -> None:
    registry = HeartbeatRegistry("me")
    writes = registry.writes_to("a:1")
    assert registry.writes_to("a:1") is writes
    assert registry.known("a:1") is None
    assert writes.value() == "me@a:1:0"
    assert writes.number_in("me@a:1:0") == 0
    writes.record_write(1)
    assert registry.known("a:1") is writes
    registry.forget("a:1")
    assert registry.known("a:1") is None


@given(st.integers(0, 2500), st.integers(-1, 2500))
def test_delay_is_not_negative_and_limited_by_remembered_writes(count: int, shown: int) -> None:
    delay = writes_at(*range(count)).delay(min(shown, count - 1), float(count))
    assert 0 <= delay <= min(count, 1000)
