"""The lines of docs/acl.md follow from what the collectors declare; that they suffice is proven on real servers."""

import re
import shlex
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from redis_pulse import collectors
from redis_pulse.collectors.base import Stateless
from redis_pulse.commands import Commands
from redis_pulse.config import Options
from redis_pulse.metric import CollectorItem, MetricSpec
from redis_pulse.server_info import Server
from tools import acl


class Made(Stateless):
    """A collector that only declares."""

    name: ClassVar[str] = "made"
    metrics: ClassVar[tuple[MetricSpec, ...]] = ()
    options: ClassVar[type[Options]] = Options
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *commands: str, sentinel: bool = False) -> None:
        self.commands = commands  # type: ignore[misc]
        self._sentinel = sentinel

    def applies(self, server: Server) -> bool:
        return self._sentinel or server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
        return ()


def test_a_user_starts_from_nothing_and_may_do_what_is_declared_once() -> None:
    both = (Made("slowlog|get", "config|get"), Made("config|get", "info"))
    assert (
        acl.line(both) == "ACL SETUSER exporter reset on >PASSWORD +ping +info +client|setname +slowlog|get +config|get"
    )


def test_keys_are_named_only_where_keys_are_read() -> None:
    assert "~" not in acl.line([Made("dbsize", "client|list"), Made("scan")])
    assert " %R~PATTERN +ping" in acl.line([Made("strlen")])
    assert " %R~user:* +ping" in acl.line([Made("memory|usage")], pattern="user:*")


def test_servers_before_redis_7_know_no_read_only_pattern() -> None:
    assert " ~PATTERN +ping" in acl.line([Made("strlen")], redis_6=True)


def test_who_searches_for_keys_selects_databases() -> None:
    assert acl.line([Made("scan"), Made("scan")]).endswith("+ping +info +client|setname +scan +select")


def test_what_may_write_is_an_addition_that_allows_writes() -> None:
    """PFCOUNT writes its result into the key, and is sent only on request."""
    one = Made("strlen", "pfcount")
    assert acl.line([one]).endswith(" %R~PATTERN +ping +info +client|setname +strlen")
    place = "servers whose HyperLogLogs may be counted"
    assert acl.addition([one], place) == "ACL SETUSER exporter ~PATTERN +pfcount"
    assert " ~PATTERN +ping" in acl.line([one], places=[place])


def test_scripts_may_not_write_unless_it_is_added() -> None:
    one = Made("eval_ro", "evalsha_ro", "eval", "evalsha")
    assert acl.line([one]).endswith("+ping +info +client|setname +eval_ro +evalsha_ro")
    assert acl.line([one], redis_6=True).endswith("+ping +info +client|setname +eval +evalsha")


def test_a_command_that_only_some_servers_know_is_an_addition_for_those() -> None:
    """A server refuses the whole line when it does not know one of its commands."""
    one = Made("slowlog|len", "commandlog|len")
    assert acl.line([one]) == "ACL SETUSER exporter reset on >PASSWORD +ping +info +client|setname +slowlog|len"
    assert acl.addition([one], "Valkey 8.1 or later") == "ACL SETUSER exporter +commandlog|len"
    assert acl.line([one], places=["Valkey 8.1 or later"]).endswith("+slowlog|len +commandlog|len")


def test_a_sentinel_has_a_line_of_its_own() -> None:
    several = (Made("slowlog|len"), Made("sentinel|masters", sentinel=True), Made("client|list", sentinel=True))
    line = "ACL SETUSER exporter reset on >PASSWORD +ping +info +client|setname"
    assert acl.sentinel_line(several) == f"{line} +client|list +sentinel|masters"
    assert acl.line(several) == f"{line} +slowlog|len +client|list"


def test_sentinel_config_also_sets_so_it_is_an_addition() -> None:
    """An ACL cannot tell SENTINEL CONFIG GET from SET, and it is asked on request only."""
    one = Made("sentinel|masters", "sentinel|config", sentinel=True)
    assert "config" not in acl.sentinel_line([one])
    assert acl.addition([one], "Sentinels whose configuration is published") == "ACL SETUSER exporter +sentinel|config"


def test_sentinels_that_are_asked_for_their_masters_have_a_line_of_what_is_asked_and_listened_to() -> None:
    words = acl.discovery_line().split()
    assert words[:6] == ["ACL", "SETUSER", "exporter", "reset", "on", ">PASSWORD"]
    assert {"&+switch-master", "+subscribe", "+sentinel|masters", "+sentinel|get-master-addr-by-name"} < set(words)
    assert not {"&*", "allchannels", "+@all", "+sentinel", "+info", "+publish"} & set(words)
    assert f"\n{acl.pasted(acl.discovery_line())}\n" in acl.page(collectors.load())


def test_what_was_sent_is_found_among_what_is_declared() -> None:
    declared = ("slowlog|get", "info", "ft.info")
    assert acl.sent(("SLOWLOG", "GET", 1), declared) == "slowlog|get"
    assert acl.sent(("INFO", "everything"), declared) == "info"
    assert acl.sent(("FT.INFO", "get"), declared) == "ft.info"
    assert acl.sent(("SLOWLOG", "LEN"), declared) is None
    assert acl.sent(("CONFIG",), declared) is None


@pytest.mark.parametrize("name", list(collectors.load()))
def test_every_collector_has_its_line_on_the_page(name: str) -> None:
    text = acl.page(collectors.load())
    section = text.partition(f"### `{name}`\n")[2].partition("\n###")[0]
    assert section
    for command in collectors.load()[name].commands:
        assert re.search(rf"\+{re.escape(command)}('|\s|$)", section), command


def test_what_a_source_asks_is_an_addition_on_the_page() -> None:
    assert acl.of_source("cluster") == "ACL SETUSER exporter +cluster|nodes +cluster|shards"
    shown = acl.pasted(acl.of_source("cluster"))
    assert f"(`cluster: true`) also:\n\n```sh\n{shown}\n```\n" in acl.page(collectors.load())


def test_a_line_pasted_into_a_shell_reaches_redis_cli_as_it_is_meant(tmp_path: Path) -> None:
    """Unquoted, > made a file named PASSWORD and a user without a password, and | ran commands."""
    lines = [text for text in acl.page(collectors.load()).splitlines() if text.startswith("redis-cli ")]
    assert len(lines) > 20
    assert not [text for text in acl.page(collectors.load()).splitlines() if text.startswith("ACL SETUSER")]
    script = 'redis-cli() { printf "%s " "$@"; echo; }\n' + "\n".join(lines)
    said = subprocess.run(["bash", "-euc", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert list(tmp_path.iterdir()) == []
    assert said.stderr == ""
    shown = said.stdout.splitlines()
    assert len(shown) == len(lines)
    assert [text.split() for text in shown] == [shlex.split(text)[1:] for text in lines]
    assert shown[0].startswith("ACL SETUSER exporter reset on >PASSWORD +ping +info ")


def test_the_readme_quotes_the_line_of_the_default_set() -> None:
    default = [one for one in collectors.load().values() if one.default]
    quoted = acl.sentence(collectors.load())
    assert acl.pasted(acl.line(default)) in quoted.splitlines(), "on a line of its own, to be pasted"
