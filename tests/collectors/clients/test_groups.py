"""Clients choose their names. Whatever they choose, sums stay correct and the number of series stays limited."""

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


def aggregate(
    *clients: ClientFields, max_names: int = 50, names: LabelLimiter[tuple[str, str, str, str]] | None = None
) -> list[CollectorItem]:
    aggregator = ClientAggregator()
    for one in clients:
        aggregator.add(one)
    return list(aggregator.samples(names or LabelLimiter(), LabelLimiter(), max_names, 0.0))


def values(items: list[CollectorItem]) -> dict[Key, float]:
    samples = [sample for sample in items if isinstance(sample, Sample) and (sample.value or sample.metric is not FLAG)]
    read = {(sample.metric.name, *sample.labels): sample.value for sample in samples}
    assert len(read) == len(samples), "duplicate series"
    return read


def test_clients_are_aggregated_by_user_name_and_library() -> None:
    shop = {"user": "shop", "name": "checkout", "lib_name": "redis-py", "lib_ver": "5.0.1"}
    items = aggregate(
        client(**shop, tot_mem="1000", omem="50", age="7", idle="3"),
        client(**shop, tot_mem="2000", omem="20", age="70", idle="1"),
        client(user="default", name="", tot_mem="5", omem="0", age="1", idle="0"),
    )
    shop_labels = tuple(shop.values())
    default_labels = ("default", "", "", "")
    assert values(items) == {
        ("clients", *shop_labels): 2,
        ("clients_memory_bytes", *shop_labels): 3000,
        ("clients_output_buffer_bytes", *shop_labels): 70,
        ("clients_output_buffer_max_bytes", *shop_labels): 50,
        ("clients_age_max_seconds", *shop_labels): 70,
        ("clients_idle_max_seconds", *shop_labels): 3,
        ("clients", *default_labels): 1,
        ("clients_memory_bytes", *default_labels): 5,
        ("clients_output_buffer_bytes", *default_labels): 0,
        ("clients_output_buffer_max_bytes", *default_labels): 0,
        ("clients_age_max_seconds", *default_labels): 1,
        ("clients_idle_max_seconds", *default_labels): 0,
        ("clients_with_flag", "normal"): 3,
    }


def test_fields_missing_on_old_servers_are_left_out() -> None:
    assert values(aggregate({"id": "1", "name": "a", "age": "5"})) == {
        ("clients", "", "a", "", ""): 1,
        ("clients_age_max_seconds", "", "a", "", ""): 5,
    }


def test_client_with_unreadable_numbers_is_still_counted() -> None:
    items = aggregate(client(user="a", tot_mem="1e3", age="-1", idle="9"), client(user="a", tot_mem="7", age=""))
    assert values(items)["clients", "a", "", "", ""] == 2
    assert values(items)["clients_memory_bytes", "a", "", "", ""] == 7
    assert [item.location for item in items if isinstance(item, UnreadableField)] == [
        "CLIENT LIST/tot-mem (sum)",
        "CLIENT LIST/age (max)",
    ]


def test_clients_above_the_limit_are_merged_by_user() -> None:
    """So sums by user stay correct."""
    pods = [client(user="shop", name=f"pod-{number}", tot_mem="10", age=str(number)) for number in range(9)]
    items = aggregate(client(user="admin", name="cli"), client(user="admin", name="cli"), *pods, max_names=2)
    read = values(items)
    assert read["clients", "admin", "cli", "", ""] == 2
    assert read["clients", "shop", "overflow", "overflow", "overflow"] == 8
    assert read["clients_memory_bytes", "shop", "overflow", "overflow", "overflow"] == 80
    assert read["clients_age_max_seconds", "shop", "overflow", "overflow", "overflow"] == 8
    assert [item.values for item in items if isinstance(item, OverflowCount)] == [8]


def test_users_have_a_limit_too() -> None:
    read = values(aggregate(*(client(user=f"user-{number}") for number in range(9)), max_names=2))
    counts = [value for key, value in read.items() if key[0] == "clients"]
    assert sorted(counts) == [1, 1, 1, 1, 5]
    assert read["clients", "overflow", "overflow", "overflow", "overflow"] == 5


def test_client_with_the_name_overflow_is_counted_there() -> None:
    overflow = client(user="a", name="overflow", lib_name="overflow", lib_ver="overflow")
    read = values(aggregate(overflow, overflow, client(user="a", name="b"), max_names=1))
    assert read["clients", "a", "overflow", "overflow", "overflow"] == 3


def test_name_keeps_its_series_when_others_grow_larger() -> None:
    names: LabelLimiter[tuple[str, str, str, str]] = LabelLimiter(60)
    aggregate(client(name="a"), max_names=1, names=names)
    assert values(aggregate(client(name="a"), client(name="b"), client(name="b"), max_names=1, names=names)) == {
        ("clients", "", "a", "", ""): 1,
        ("clients", "", "overflow", "overflow", "overflow"): 2,
        ("clients_with_flag", "normal"): 3,
    }


def test_very_long_name_is_cut() -> None:
    assert max(len(label) for key in values(aggregate(client(name="x" * 1_000_000))) for label in key) <= 200


def test_known_flags_are_words_and_unknown_flags_are_letters() -> None:
    items = aggregate(client(flags="Pb"), client(flags="bZ"), client(flags="N"), client(flags="é!"))
    assert values(items) == {
        ("clients", "", "", "", ""): 4,
        ("clients_with_flag", "pubsub"): 1,
        ("clients_with_flag", "blocked"): 2,
        ("clients_with_flag", "Z"): 1,
        ("clients_with_flag", "normal"): 1,
        ("clients_with_flag", "other"): 2,
    }


def test_flag_without_clients_is_zero() -> None:
    flags = {sample.labels[0]: sample.value for sample in aggregate() if isinstance(sample, Sample)}
    assert flags["blocked"] == flags["monitor"] == 0


@given(st.lists(st.fixed_dictionaries({"user": st.sampled_from("ab"), "name": st.text(max_size=1)})), st.integers(1, 4))
def test_no_client_is_lost_and_the_limit_holds(clients: list[dict[str, str]], max_names: int) -> None:
    items = aggregate(*(client(**one, tot_mem="1") for one in clients), max_names=max_names)
    counts = [sample for sample in items if isinstance(sample, Sample) and sample.metric is CLIENTS]
    assert len(counts) <= 2 * max_names + 1
    by_user = Counter(one["user"] for one in clients)
    if len(by_user) <= max_names:
        assert {user: sum(s.value for s in counts if s.labels[0] == user) for user in by_user} == by_user
    assert sum(s.value for s in items if isinstance(s, Sample) and s.metric is MEMORY) == len(clients)
