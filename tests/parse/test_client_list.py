"""A client chooses its own name. With any name, neither this client nor another one is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.parse.client_list import MAX_LINE_LENGTH, parse_address, parse_client, parse_client_list
from tests.recordings import clients as recorded

NAMES = st.text(st.characters(min_codepoint=ord("!"), max_codepoint=ord("~")))


@pytest.mark.parametrize("server", recorded.SERVERS)
def test_real_lists_are_read_completely(server: str) -> None:
    clients = list(parse_client_list(recorded.replies(server)["CLIENT LIST"].decode()))
    assert len(clients) == 9
    names = [client["name"] for client in clients if client]
    assert sorted(names) == ["admin", 'it"s', *["worker=0"] * 2, *["worker=1"] * 3, *["worker=2"] * 2]
    assert {client["user"] for client in clients if client} == {"default", "shop=eu"}
    hosts = {parse_address(client["addr"])[0] for client in clients if client}
    assert hosts == {"127.0.0.1", "::1", "/run/it.sock"}


@given(NAMES)
def test_any_name_that_a_server_allows_is_read(name: str) -> None:
    assert parse_client(f"id=3 addr=127.0.0.1:1 name={name} age=5 flags=N") == {
        "id": "3",
        "addr": "127.0.0.1:1",
        "name": name,
        "age": "5",
        "flags": "N",
    }


def test_word_without_an_equals_sign_belongs_to_the_value_before() -> None:
    client = parse_client("id=3 addr=/run/my redis server.sock:0 fd=8 name=say hello")
    assert client == {"id": "3", "addr": "/run/my redis server.sock:0", "fd": "8", "name": "say hello"}


def test_unknown_fields_are_kept_and_missing_fields_are_allowed() -> None:
    assert parse_client("id=3 shoe-size=44 x2=") == {"id": "3", "shoe-size": "44", "x2": ""}


@pytest.mark.parametrize("line", ["name=a age=5", "id= age=5", "hello", "=", " ", "\x00", "ID=3"])
def test_line_without_an_id_is_not_a_client(line: str) -> None:
    assert list(parse_client_list(f"id=1\r\n{line}\n\n\nid=2")) == [{"id": "1"}, None, {"id": "2"}]


def test_line_of_10_mb_loses_only_its_own_client() -> None:
    text = f"id=1 name={'x' * 10_000_000}\nid=2 name={'x' * (MAX_LINE_LENGTH - 10)}\nid=3 name=x\n"
    lines = list(parse_client_list(text))
    assert lines[0] is None
    assert [client["id"] for client in lines[1:] if client] == ["2", "3"]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:52555", ("127.0.0.1", "52555")),
        ("[::1]:52555", ("::1", "52555")),
        ("::1:52555", ("::1", "52555")),
        ("/run/redis.sock:0", ("/run/redis.sock", "0")),
        ("[/run/redis.sock:0]:0", ("/run/redis.sock", "0")),
        ("?", ("?", "")),
        ("", ("", "")),
    ],
)
def test_address_is_split_into_host_and_port(text: str, address: tuple[str, str]) -> None:
    assert parse_address(text) == address


@given(st.text(max_size=200))
def test_any_text_raises_nothing(text: str) -> None:
    for client in parse_client_list(text):
        assert client is None or client["id"]
        parse_address(text)
