"""The delay of a replica is the age of the oldest write that it does not show."""

from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.probe.replication_delay import HeartbeatRegistry, PrimaryWrites, ReplicaProgress


def wrote(*times: float) -> PrimaryWrites:
    writer = PrimaryWrites("w")
    for time in times:
        writer.record_write(time)
    return writer


def test_a_replica_that_shows_the_newest_write_is_not_behind() -> None:
    assert wrote(10, 11, 12).delay(shown=2, now=20) == 0


def test_a_replica_is_behind_by_the_age_of_the_oldest_write_that_it_lacks() -> None:
    writer = wrote(10, 11, 12)
    assert writer.delay(shown=0, now=12.5) == 1.5
    assert writer.delay(shown=-1, now=12.5) == 2.5


def test_the_delay_grows_while_nothing_arrives() -> None:
    """Also when the key has expired on the replica, or the replica does not answer at all."""
    writer, follower = wrote(10, 11), ReplicaProgress()
    follower.record_read(writer, "w:0")
    assert follower.delay(12) == 1
    follower.record_read(writer, None)
    assert follower.delay(60) == 49


def test_a_value_of_another_exporter_or_of_anybody_tells_nothing() -> None:
    writer, follower = wrote(10, 11), ReplicaProgress()
    for text in ("x:1", "w:", "w:-1", "w:1e3", "1", ""):
        follower.record_read(writer, text)
    assert follower.delay(12) == 2


def test_a_number_from_the_future_is_not_believed() -> None:
    """A value that an earlier life of this daemon left behind."""
    writer, follower = wrote(10), ReplicaProgress()
    follower.record_read(writer, "w:999")
    writer.record_write(20)
    assert follower.delay(25) == 5


def test_a_replica_of_another_primary_starts_anew() -> None:
    first, second, follower = wrote(10), PrimaryWrites("v"), ReplicaProgress()
    follower.record_read(first, "w:0")
    second.record_write(50)
    follower.record_read(second, "w:0")
    assert follower.delay(51) == 1


def test_before_its_primary_is_known_there_is_no_delay() -> None:
    assert ReplicaProgress().delay(1) is None


def test_writers_are_known_by_the_address_of_their_primary_once_they_wrote() -> None:
    beats = HeartbeatRegistry("me")
    writer = beats.writer("a:1")
    assert beats.writer("a:1") is writer
    assert beats.known("a:1") is None
    assert writer.value() == "me@a:1:0"
    assert writer.number_in("me@a:1:0") == 0
    writer.record_write(1)
    assert beats.known("a:1") is writer
    beats.forget("a:1")
    assert beats.known("a:1") is None


@given(st.integers(0, 2500), st.integers(-1, 2500))
def test_the_delay_is_never_negative_and_never_older_than_what_is_remembered(writes: int, shown: int) -> None:
    writer = wrote(*range(writes))
    delay = writer.delay(min(shown, writes - 1), float(writes))
    assert 0 <= delay <= min(writes, 1000)
