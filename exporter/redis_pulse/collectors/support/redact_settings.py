"""Settings of a server as series, without its secrets: for CONFIG GET and SENTINEL CONFIG GET.

What is secret is told by patterns over names and values, not by a list, and rather too much is hidden than too little:
a server's next version, a module or a fork has settings that nobody here has heard of.
"""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache

from redis_pulse.config import Options
from redis_pulse.config.option_types import Field
from redis_pulse.metric import MetricSpec, OverflowCount, Sample

#: Stands where a secret was. An empty value is none, and is shown: ``requirepass=""`` is worth an alert.
HIDDEN = "***"
#: Settings that have series, at most; real servers have 150 to 250.
MOST = 1000
#: Characters of a value that is shown; longer ones are no settings but contents (a list of users, a certificate).
LONGEST = 1000

_NAME = re.compile(
    r"pass|pwd|phrase|auth|secret|token|cred|private|licen[cs]e|seed|salt|aclfile|user(name)?s?$|key(?!space|s\b)",
    re.IGNORECASE,
)
_VALUE = re.compile(
    r"""-----BEGIN                                                            # a key or certificate
    | ://[^/\s]*@ | [^\s:/]:[^\s@]*@                                          # a URL or address with credentials
    | (pass|pwd|phrase|auth|secret|token|cred|key)[\w-]*["']?\s*[=:\s]\s*\S   # password=…, requirepass …
    | (^|\s)[><\#!]\S                                                         # an ACL rule: >password, #hash
    | ^[^\s:/]+:[^\s:/.]*[^\s:/.\d][^\s:/.]*$                                 # user:password, but not host:port
    | eyJ[\w-]{8} | AKIA\w{12} | gh[a-z]_\w{16}                               # tokens with a known beginning
    | (?=[\w+=-]*\d)(?=[\w+=-]*[A-Za-z])[\w+=-]{32}                           # other tokens and hashes
    """,
    re.IGNORECASE | re.VERBOSE,
)
#: Values that are no secret for sure, which is most: too short for a token, and nothing in them that parts two words.
_PLAIN = re.compile(r"[\w.,%/+-]{0,10}", re.ASCII)
#: Settings that are known to be none, though they sound like one: switches, durations, the field of a certificate.
NOT_SECRET = frozenset({"tls-auth-clients", "tls-auth-clients-user", "rdb-key-save-delay", "key-load-delay"})
#: Names of a secret itself. Of others, such as ``x-auth-enabled``, ``yes`` and ``no`` are shown; a number never is.
SECRET_VALUE_NAMES = re.compile(
    r"(pass|pwd|phrase|auth|secret|token|cred|private|licen[cs]e|seed|salt|aclfile|user|key)[a-z]*([._-]?file)?$",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"-?\d{1,30}(\.\d{1,30})?", re.ASCII)


class SettingsOptions(Options):
    """Whether a server's settings have series, and what is hidden of them."""

    include_config_metrics: bool = Field(default=False, description="Whether every setting has a series.")
    hide: tuple[str, ...] = Field(
        (), description="Settings whose values to hide besides those that look secret; * stands for any characters."
    )
    show: tuple[str, ...] = Field((), description="Settings to show although they look secret, by their exact names.")


def is_secret(name: str, value: str, options: SettingsOptions | None = None) -> bool:
    """Whether the value of this setting must not be seen by anybody who may see metrics."""
    options = options or SettingsOptions()
    if any(fnmatchcase(name.lower(), pattern.lower()) for pattern in options.hide):
        return True
    if name in options.show or name in NOT_SECRET:
        return False
    if _sounds_secret(name):
        return value not in ("yes", "no") or SECRET_VALUE_NAMES.search(name) is not None
    return not _PLAIN.fullmatch(value) and (len(value) > LONGEST or _VALUE.search(value) is not None)


@lru_cache(maxsize=2 * MOST)
def _sounds_secret(name: str) -> bool:
    return _NAME.search(name) is not None


def settings_samples(
    key_value: MetricSpec, value: MetricSpec, settings: Mapping[str, str], options: SettingsOptions
) -> Iterator[Sample | OverflowCount]:
    """Yield ``…_config_key_value{key,value} 1`` of every setting, and ``…_config_value{key}`` of every number."""
    names = sorted(name for name in settings if len(name) <= LONGEST)
    for name in names[:MOST]:
        text = settings[name]
        secret = bool(text) and is_secret(name, text, options)
        yield key_value.sample(1.0, name, HIDDEN if secret else text)
        if not secret and _NUMBER.fullmatch(text):
            yield value.sample(float(text), name)
    if len(settings) > len(names[:MOST]):
        yield OverflowCount(key_value.location, len(settings) - len(names[:MOST]))
