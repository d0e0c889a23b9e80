"""Evidence that no healthy server gives is classified and stored without an exception."""

from hypothesis import given, settings
from hypothesis import strategies as st

from redis_pulse.stalls.causes import classify
from redis_pulse.stalls.evidence import KEPT_FIELDS, Evidence, LatencyEvent, SlowEntry, Snapshot, TcpSample
from tests.stalls.test_causes import check

NUMBER = st.one_of(st.floats(), st.integers(-(2**63), 2**63 - 1).map(float), st.floats(-5, 200))
TEXT = st.one_of(
    st.text(max_size=8), st.integers().map(str), st.floats().map(str), st.sampled_from(["0", "1", "9" * 30])
)
SNAPSHOT = st.builds(
    Snapshot,
    NUMBER,
    st.dictionaries(
        st.sampled_from(["", "Stats"]),
        st.dictionaries(
            st.one_of(
                st.sampled_from(sorted(KEPT_FIELDS)),
                st.sampled_from(["cmdstat_get", "cmdstat_", "cmdstat_client|pause", "x"]),
            ),
            st.one_of(TEXT, st.builds("calls={},usec={}".format, st.integers(), st.integers())),
        ),
    ),
)
ENTRY = st.builds(SlowEntry, st.integers(), NUMBER, NUMBER, st.sampled_from(["keys", "get", "debug", "", "\x00"]))
HOSTILE = st.builds(
    Evidence,
    started=NUMBER,
    ended=st.none() | NUMBER,
    started_wall=NUMBER,
    seconds=NUMBER,
    longest_started=st.none() | NUMBER,
    ended_by=st.sampled_from(["reply", "reset", "loading", "busy", "restart", "unknown"]),
    kernel_clock=st.booleans(),
    loop_lag=NUMBER,
    earlier=st.none() | SNAPSHOT,
    before=st.none() | SNAPSHOT,
    after=st.none() | SNAPSHOT,
    slow_entries=st.none() | st.lists(ENTRY, max_size=4).map(tuple),
    command_log=st.none() | st.lists(ENTRY, max_size=4).map(tuple),
    latency_events=st.none()
    | st.lists(st.builds(LatencyEvent, st.sampled_from(["aof-write", "fork"]), NUMBER, NUMBER), max_size=3).map(tuple),
    latency_threshold=st.none() | st.integers(),
    tcp=st.lists(st.builds(TcpSample, NUMBER, *[st.integers()] * 5, NUMBER), max_size=4).map(tuple),
    retransmits_before=st.none() | st.integers(),
    retransmits_after=st.none() | st.integers(),
    connected=st.none() | st.booleans(),
    malformed_refused=st.none() | st.booleans(),
    missing=st.dictionaries(st.text(max_size=9), st.text(max_size=999), max_size=3),
)


@settings(max_examples=400)
@given(HOSTILE)
def test_hostile_evidence_is_classified_and_stored_without_exception(evidence: Evidence) -> None:
    check(classify(evidence))
    check(classify(Evidence.from_json(evidence.to_json())))
