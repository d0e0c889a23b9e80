"""Commands by another name are checked when the configuration is read."""

import argparse
from pathlib import Path

import pytest
from pydantic import Field, SecretStr, ValidationError

from redis_pulse import collectors
from redis_pulse.config import Options, load
from redis_pulse.config.types import RENAMEABLE, RenamedCommands


class Told(Options):
    """Settings with such a mapping."""

    commands: RenamedCommands = Field({})


def test_what_may_be_renamed_is_what_collectors_send() -> None:
    sent = {command.split("|")[0] for one in collectors.load().values() for command in one.commands}
    assert sent == RENAMEABLE


def test_a_name_is_kept_as_a_secret() -> None:
    told = Told(commands={"CONFIG": "s3cret"})
    assert told.commands == {"config": SecretStr("s3cret")}
    assert "s3cret" not in repr(told)


@pytest.mark.parametrize(
    ("commands", "message"),
    [
        ({"ping": "x"}, "names a command that is not sent"),
        ({"config": "two words"}, "has a name for config that is no word"),
        ({"config": ""}, "has a name for config that is no word"),
        ({"config": 7}, "has a name for config that is no word"),
        (["config"], "must be a mapping"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(commands: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Told(commands=commands)


def test_a_target_has_those_of_its_module_and_its_own(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "modules: {m: {commands: {config: a, info: b}}}\n"
        "targets: [{url: redis://h, module: m, commands: {config: c}}, {url: redis://i}]\n"
    )
    first, second = load(argparse.Namespace(config="c.yaml"), {}, tmp_path).targets
    assert {name: word.get_secret_value() for name, word in first.commands.items()} == {"config": "c", "info": "b"}
    assert second.commands == {}
