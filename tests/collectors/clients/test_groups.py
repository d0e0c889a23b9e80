"""Names are the clients' own choice: sums stay true and series stay few whatever they choose."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.clients.groups import CLIENTS, FLAG, MEMORY, ClientAggregator
from redis_pulse.collectors.support.labels import LabelLimiter
from redis_pulse.metric import CollectorItem, OverflowCount, Sample, UnreadableField
from redis_pulse.parse.client_list import ClientFields

Key = tuple[str, ...]


def client(**fields: str) -> ClientFields:
    return {"id": "1", "flags": "N", **{name.replace("_", "-"): text for name, text in fields.items()}}


def tell(
    *clients: ClientFields, most: int = 50, names: LabelLimiter[tuple[str, str, str, str]] | None = None
) -> list[CollectorItem]:
    tally = ClientAggregator()
    for one in clients:
        tally.add(one)
    return list(tally.samples(names or LabelLimiter(), LabelLimiter(), most, 0.0))


def values(found: list[CollectorItem]) -> dict[Key, float]:
    samples = [sample for sample in found if isinstance(sample, Sample) and (sample.value or sample.metric is not FLAG)]
    read = {(sample.metric.name, *sample.labels): sample.value for sample in samples}
    assert len(read) == len(samples), "a series stands twice"
    return read


def test_clients_are_summed_up_by_user_name_and_library() -> None:
    shop = {"user": "shop", "name": "checkout", "lib_name": "redis-py", "lib_ver": "5.0.1"}
    found = tell(
        client(**shop, tot_mem="1000", omem="50", age="7", idle="3"),
        client(**shop, tot_mem="2000", omem="20", age="70", idle="1"),
        client(user="default", name="", tot_mem="5", omem="0", age="1", idle="0"),
    )
    of = tuple(shop.values())
    plain = ("default", "", "", "")
    assert values(found) == {
        ("clients", *of): 2,
        ("clients_memory_bytes", *of): 3000,
        ("clients_output_buffer_bytes", *of): 70,
        ("clients_output_buffer_max_bytes", *of): 50,
        ("clients_age_max_seconds", *of): 70,
        ("clients_idle_max_seconds", *of): 3,
        ("clients", *plain): 1,
        ("clients_memory_bytes", *plain): 5,
        ("clients_output_buffer_bytes", *plain): 0,
        ("clients_output_buffer_max_bytes", *plain): 0,
        ("clients_age_max_seconds", *plain): 1,
        ("clients_idle_max_seconds", *plain): 0,
        ("clients_with_flag", "normal"): 3,
    }


def test_what_an_old_server_does_not_say_is_left_out() -> None:
    assert values(tell({"id": "1", "name": "a", "age": "5"})) == {
        ("clients", "", "a", "", ""): 1,
        ("clients_age_max_seconds", "", "a", "", ""): 5,
    }


def test_what_is_no_number_is_counted_and_the_client_too() -> None:
    found = tell(client(user="a", tot_mem="1e3", age="-1", idle="9"), client(user="a", tot_mem="7", age=""))
    assert values(found)["clients", "a", "", "", ""] == 2
    assert values(found)["clients_memory_bytes", "a", "", "", ""] == 7
    assert [item.location for item in found if isinstance(item, UnreadableField)] == [
        "CLIENT LIST/tot-mem (sum)",
        "CLIENT LIST/age (max)",
    ]


def test_above_the_cap_clients_are_put_together_by_user() -> None:
    """So that sums by user stay true."""
    pods = [client(user="shop", name=f"pod-{number}", tot_mem="10", age=str(number)) for number in range(9)]
    found = tell(client(user="admin", name="cli"), client(user="admin", name="cli"), *pods, most=2)
    read = values(found)
    assert read["clients", "admin", "cli", "", ""] == 2
    assert read["clients", "shop", "overflow", "overflow", "overflow"] == 8
    assert read["clients_memory_bytes", "shop", "overflow", "overflow", "overflow"] == 80
    assert read["clients_age_max_seconds", "shop", "overflow", "overflow", "overflow"] == 8
    assert [item.values for item in found if isinstance(item, OverflowCount)] == [8]


def test_users_have_a_cap_too() -> None:
    read = values(tell(*(client(user=f"user-{number}") for number in range(9)), most=2))
    counts = [value for key, value in read.items() if key[0] == "clients"]
    assert sorted(counts) == [1, 1, 1, 1, 5]
    assert read["clients", "overflow", "overflow", "overflow", "overflow"] == 5


def test_a_client_that_calls_itself_overflow_is_counted_there() -> None:
    poser = client(user="a", name="overflow", lib_name="overflow", lib_ver="overflow")
    read = values(tell(poser, poser, client(user="a", name="b"), most=1))
    assert read["clients", "a", "overflow", "overflow", "overflow"] == 3


def test_a_name_keeps_its_series_when_others_grow_bigger() -> None:
    names: LabelLimiter[tuple[str, str, str, str]] = LabelLimiter(60)
    tell(client(name="a"), most=1, names=names)
    assert values(tell(client(name="a"), client(name="b"), client(name="b"), most=1, names=names)) == {
        ("clients", "", "a", "", ""): 1,
        ("clients", "", "overflow", "overflow", "overflow"): 2,
        ("clients_with_flag", "normal"): 3,
    }


def test_a_name_as_long_as_a_book_is_cut() -> None:
    assert max(len(label) for key in values(tell(client(name="x" * 1_000_000))) for label in key) <= 200


def test_flags_have_their_words_and_unknown_ones_their_letter() -> None:
    found = tell(client(flags="Pb"), client(flags="bZ"), client(flags="N"), client(flags="é!"))
    assert values(found) == {
        ("clients", "", "", "", ""): 4,
        ("clients_with_flag", "pubsub"): 1,
        ("clients_with_flag", "blocked"): 2,
        ("clients_with_flag", "Z"): 1,
        ("clients_with_flag", "normal"): 1,
        ("clients_with_flag", "other"): 2,
    }


def test_a_flag_that_nobody_bears_is_0() -> None:
    flags = {sample.labels[0]: sample.value for sample in tell() if isinstance(sample, Sample)}
    assert flags["blocked"] == flags["monitor"] == 0


@given(st.lists(st.fixed_dictionaries({"user": st.sampled_from("ab"), "name": st.text(max_size=1)})), st.integers(1, 4))
def test_no_client_is_lost_and_the_cap_holds(clients: list[dict[str, str]], most: int) -> None:
    found = tell(*(client(**one, tot_mem="1") for one in clients), most=most)
    counts = [sample for sample in found if isinstance(sample, Sample) and sample.metric is CLIENTS]
    assert len(counts) <= 2 * most + 1
    by_user = Counter(one["user"] for one in clients)
    if len(by_user) <= most:
        assert {user: sum(s.value for s in counts if s.labels[0] == user) for user in by_user} == by_user
    assert sum(s.value for s in found if isinstance(s, Sample) and s.metric is MEMORY) == len(clients)
