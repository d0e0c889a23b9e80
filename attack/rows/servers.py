"""Attacks by watched servers, and by clients that may write to them."""

from collections.abc import Iterator
from functools import partial

from attack.rows.base import NAMES, Row
from attack.rules import no_control_characters
from attack.world import World


def _hostile(kind: str, world: World) -> None:
    world.hostile(kind)


def _wrong_password(world: World) -> None:
    server = world.real("login", requirepass="right-password")
    world.secrets.append("wrong-password-7")
    world.config["targets"].append({"name": "bad", "url": server.url, "password": "wrong-password-7"})


def _one_warning(world: World) -> Iterator[str]:
    lines = [line.text for line in world.daemon.lines if line.target == "bad"]
    if len(lines) > 2:
        yield f"{len(lines)} log lines about one wrong password"
    if not lines:
        yield "no log line about the wrong password"


def _key_groups(world: World) -> None:
    server = world.notes["server"] = world.real("groups")
    groups = ["^(.*):(.*):(.*):[a-z]+$", "^([a-z]+)+:$", "(.*):.*:.*:\\d+$"]
    collectors = {"default": True, "key_groups": {"groups": groups}}
    world.config["targets"].append({"name": "bad", "url": server.url, "collectors": collectors})


def _write_keys(world: World) -> None:
    for number in range(20):
        world.notes["server"].run("SET", ":" * 998 + f"{number:02}", "x")
    world.notes["server"].run("SET", "a" * 41 + "!", "x")


def _writing_script(world: World) -> None:
    missing = world.write("missing.conf", 'rename-command EVAL_RO ""\nrename-command EVALSHA_RO ""\n')
    server = world.real("script", include=str(missing))
    script = world.write("write.lua", "redis.call('SET','pwned','1') return {'x', 1}")
    world.notes["server"] = server
    collectors = {"default": True, "scripts": {"files": [str(script)]}}
    world.config["targets"].append({"name": "bad", "url": server.url, "collectors": collectors})


def _nothing_written(world: World) -> Iterator[str]:
    if world.notes["server"].run("GET", "pwned") is not None:
        yield "a script has written although may_write is off"


def _settings(world: World) -> None:
    world.hostile("settings", collectors={"default": True, "config": {"include_config_metrics": True}})


def _echoed_login(world: World) -> None:
    world.secrets += ["two  spaces S3K", "two spaces S3K", "spaces S3K"]
    world.hostile("echo-login", username="user", password="two  spaces S3K")
    port = world.hostile_port("echo-login")
    entry = {"name": "bad-tab", "url": f"redis://127.0.0.1:{port}", "password": "tab\tS3K-x"}
    world.config["targets"].append(entry)
    world.secrets += ["tab\tS3K-x", "tab S3K-x", "S3K-x"]


def _cluster(kind: str, world: World) -> None:
    world.hostile(kind, cluster={"interval": "2s"})


def _seed_is_watched(world: World) -> Iterator[str]:
    page = world.daemon.page(10)
    names = [target for target in page.targets() if target.startswith("bad/")]
    if not names:
        yield "no node of the cluster is watched"
    world.notes["nodes"] = len(names)


def _bounded_nodes(world: World) -> Iterator[str]:
    yield from _seed_is_watched(world)
    if world.notes["nodes"] > 2500:
        yield f"{world.notes['nodes']} announced nodes are watched"


def _control_keys(world: World) -> None:
    server = world.real("keys")
    server.run("SET", "k\x1b]0;pwned\x07x", "1")
    server.run("SET", "k\u202efdp.exe", "1")
    collectors = {"default": True, "keys": {"patterns": ["k*"]}}
    world.config["targets"].append({"name": "keys", "url": server.url, "collectors": collectors})
    world.hostile("control-characters")


def _no_control_characters(world: World) -> Iterator[str]:
    for path, text in world.outputs().items():
        for problem in no_control_characters(text):
            yield f"{path}: {problem}"


ROWS = (
    Row("E4a", "INFO of 1 GB", partial(_hostile, "gigabyte")),
    Row("E4b", "INFO without end", partial(_hostile, "endless")),
    Row("E5", "INFO with a value of 10 MB", partial(_hostile, "long-label")),
    Row("E6a", "200 000 new databases a poll", partial(_hostile, "many-databases"), memory=NAMES),
    Row("E6b", "100 000 new commands a poll", partial(_hostile, "many-commands"), memory=NAMES),
    Row("E7", "wrong password at the start", _wrong_password, check=_one_warning),
    Row("H3c", "cluster node, 20 000 bad names", partial(_cluster, "cluster-bad-names"), check=_seed_is_watched),
    Row("H4", "quadratic module line", partial(_hostile, "quadratic-modules")),
    Row("M2", "keys against key_groups", _key_groups, begin=_write_keys),
    Row("M3", "script that writes", _writing_script, check=_nothing_written),
    Row("M5", "cluster node announces 3000", partial(_cluster, "cluster-3000"), check=_bounded_nodes, memory=NAMES),
    Row("M6", "INFO is an array of 12 MB", partial(_hostile, "array")),
    Row("M9", "1000 settings with blanks", _settings),
    Row("M10", "server echoes the login", _echoed_login),
    Row("L1", "node with an epoch of 5000 digits", partial(_cluster, "cluster-long-epoch"), check=_seed_is_watched),
    Row("L4", "control characters in names", _control_keys, check=_no_control_characters),
    Row("L5a", "long and many names in INFO", partial(_hostile, "long-labels"), memory=NAMES),
)
