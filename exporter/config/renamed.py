"""Commands that a server knows by another name: ``commands: {config: NAME}``."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, SecretStr

#: What we send, but for PING and AUTH: a server that renames those is no server for us.
RENAMEABLE = frozenset(
    {"acl", "arcount", "client", "cluster", "commandlog", "config", "eval", "eval_ro", "evalsha", "evalsha_ro"}
    | {"ft._list", "ft.info", "getrange", "hlen", "info", "latency", "llen", "memory", "pfcount", "scan"}
    | {"scard", "sentinel", "slowlog", "strlen", "type", "xinfo", "xlen", "zcard"}
)
#: A server cuts a longer word in its errors, where it would be shown then.
_WORD = re.compile(r"[!-~]{1,128}")


def _renamed(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError("must be a mapping from commands to their names, such as {config: NAME}")  # noqa: TRY004
    found = {}
    for command, name in value.items():
        if (known := str(command).lower()) not in RENAMEABLE:
            raise ValueError(f"names a command that is not sent: there are {', '.join(sorted(RENAMEABLE))}")
        word = name.get_secret_value() if isinstance(name, SecretStr) else name
        if not isinstance(word, str) or not _WORD.fullmatch(word):
            raise ValueError(f"has a name for {known} that is no word")
        found[known] = SecretStr(word)
    return found


#: Command → name; the names are treated as secrets, since that is what they are chosen for.
Renamed = Annotated[dict[str, SecretStr], BeforeValidator(_renamed)]
