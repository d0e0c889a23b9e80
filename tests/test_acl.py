"""The lines of docs/acl.md are generated from the declared commands; tests/integration proves that they suffice."""

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


class DeclaredCollector(Stateless):
    """A collector that only declares commands."""

    name: ClassVar[str] = "declared"
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


def test_line_resets_the_user_and_allows_each_declared_command_once() -> None:
    several = (DeclaredCollector("slowlog|get", "config|get"), DeclaredCollector("config|get", "info"))
    assert (
        acl.line(several)
        == "ACL SETUSER exporter reset on >PASSWORD +ping +info +client|setname +slowlog|get +config|get"
    )


def test_key_pattern_is_added_only_if_keys_are_read() -> None:
    assert "~" not in acl.line([DeclaredCollector("dbsize", "client|list"), DeclaredCollector("scan")])
    assert " %R~PATTERN +ping" in acl.line([DeclaredCollector("strlen")])
    assert " %R~user:* +ping" in acl.line([DeclaredCollector("memory|usage")], pattern="user:*")


def test_redis_6_has_no_read_only_key_pattern() -> None:
    assert " ~PATTERN +ping" in acl.line([DeclaredCollector("strlen")], redis_6=True)


def test_collector_that_scans_may_select_databases() -> None:
    assert acl.line([DeclaredCollector("scan"), DeclaredCollector("scan")]).endswith(
        "+ping +info +client|setname +scan +select"
    )


def test_command_that_may_write_is_an_addition_that_allows_writes() -> None:
    """PFCOUNT writes its result into the key, and is sent only on request."""
    collector = DeclaredCollector("strlen", "pfcount")
    assert acl.line([collector]).endswith(" %R~PATTERN +ping +info +client|setname +strlen")
    group = "servers where HyperLogLogs are counted"
    assert acl.addition([collector], group) == "ACL SETUSER exporter ~PATTERN +pfcount"
    assert " ~PATTERN +ping" in acl.line([collector], groups=[group])


def test_scripts_may_write_only_with_an_addition() -> None:
    collector = DeclaredCollector("eval_ro", "evalsha_ro", "eval", "evalsha")
    assert acl.line([collector]).endswith("+ping +info +client|setname +eval_ro +evalsha_ro")
    assert acl.line([collector], redis_6=True).endswith("+ping +info +client|setname +eval +evalsha")


def test_command_of_some_servers_is_an_addition_for_those() -> None:
    """A server rejects the complete line if it does not know one of the commands."""
    collector = DeclaredCollector("slowlog|len", "commandlog|len")
    assert acl.line([collector]) == "ACL SETUSER exporter reset on >PASSWORD +ping +info +client|setname +slowlog|len"
    assert acl.addition([collector], "Valkey 8.1 or later") == "ACL SETUSER exporter +commandlog|len"
    assert acl.line([collector], groups=["Valkey 8.1 or later"]).endswith("+slowlog|len +commandlog|len")


def test_sentinel_has_its_own_line() -> None:
    several = (
        DeclaredCollector("slowlog|len"),
        DeclaredCollector("sentinel|masters", sentinel=True),
        DeclaredCollector("client|list", sentinel=True),
    )
    line = "ACL SETUSER exporter reset on >PASSWORD +ping +info +client|setname"
    assert acl.sentinel_line(several) == f"{line} +client|list +sentinel|masters"
    assert acl.line(several) == f"{line} +slowlog|len +client|list"


def test_sentinel_config_is_an_addition_because_it_may_also_set() -> None:
    """An ACL cannot distinguish SENTINEL CONFIG GET and SET, and GET is sent only on request."""
    collector = DeclaredCollector("sentinel|masters", "sentinel|config", sentinel=True)
    assert "config" not in acl.sentinel_line([collector])
    assert (
        acl.addition([collector], "Sentinels where the configuration is published")
        == "ACL SETUSER exporter +sentinel|config"
    )


def test_discovery_line_allows_exactly_its_commands_and_channels() -> None:
    words = acl.discovery_line().split()
    assert words[:6] == ["ACL", "SETUSER", "exporter", "reset", "on", ">PASSWORD"]
    assert {"&+switch-master", "+subscribe", "+sentinel|masters", "+sentinel|get-master-addr-by-name"} < set(words)
    assert not {"&*", "allchannels", "+@all", "+sentinel", "+info", "+publish"} & set(words)
    assert f"\n{acl.shell_command(acl.discovery_line())}\n" in acl.page(collectors.load())


def test_sent_command_is_matched_to_a_declared_command() -> None:
    declared = ("slowlog|get", "info", "ft.info")
    assert acl.declared_command(("SLOWLOG", "GET", 1), declared) == "slowlog|get"
    assert acl.declared_command(("INFO", "everything"), declared) == "info"
    assert acl.declared_command(("FT.INFO", "get"), declared) == "ft.info"
    assert acl.declared_command(("SLOWLOG", "LEN"), declared) is None
    assert acl.declared_command(("CONFIG",), declared) is None


@pytest.mark.parametrize("name", list(collectors.load()))
def test_each_collector_has_its_line_on_the_page(name: str) -> None:
    text = acl.page(collectors.load())
    section = text.partition(f"### `{name}`\n")[2].partition("\n###")[0]
    assert section
    for command in collectors.load()[name].commands:
        assert re.search(rf"\+{re.escape(command)}('|\s|$)", section), command


def test_commands_of_a_discovery_source_are_an_addition_on_the_page() -> None:
    assert acl.source_addition("cluster") == "ACL SETUSER exporter +cluster|nodes +cluster|shards"
    shown = acl.shell_command(acl.source_addition("cluster"))
    assert f"(`cluster: true`):\n\n```sh\n{shown}\n```\n" in acl.page(collectors.load())


def test_line_pasted_into_a_shell_reaches_redis_cli_unchanged(tmp_path: Path) -> None:
    """Without quotes, > would create a file PASSWORD and a user without a password, and | would run commands."""
    lines = [text for text in acl.page(collectors.load()).splitlines() if text.startswith("redis-cli ")]
    assert len(lines) > 20
    assert not [text for text in acl.page(collectors.load()).splitlines() if text.startswith("ACL SETUSER")]
    script = 'redis-cli() { printf "%s " "$@"; echo; }\n' + "\n".join(lines)
    process = subprocess.run(["bash", "-euc", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert list(tmp_path.iterdir()) == []
    assert process.stderr == ""
    shown = process.stdout.splitlines()
    assert len(shown) == len(lines)
    assert [text.split() for text in shown] == [shlex.split(text)[1:] for text in lines]
    assert shown[0].startswith("ACL SETUSER exporter reset on >PASSWORD +ping +info ")


def test_readme_quotes_the_line_of_the_default_collectors() -> None:
    default = [collector for collector in collectors.load().values() if collector.default]
    quoted = acl.default_set_part(collectors.load())
    assert acl.shell_command(acl.line(default)) in quoted.splitlines(), "on a separate line, for copying"
