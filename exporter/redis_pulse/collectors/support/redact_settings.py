"""Settings of a server as series, without its secrets: for CONFIG GET and SENTINEL CONFIG GET.

Patterns over names and values decide what is secret, because no list can be complete. The next version of a server, a
module or a fork may add any setting. In doubt, a value is hidden.
"""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache, lru_cache

from redis_pulse.config import Options
from redis_pulse.config.option_types import Field
from redis_pulse.config.regular_expressions import Expression, compile_expression
from redis_pulse.masking import HIDDEN, KNOWN_TOKENS, SENSITIVE_NAME, SENSITIVE_WORDS
from redis_pulse.metric import MetricSpec, OverflowCount, Sample

#: Maximum number of settings with series. Real servers have 150 to 250.
MAX_SETTINGS = 500
#: Maximum characters of a shown value. Longer values are contents: a list of users, a certificate.
MAX_LENGTH = 1000
#: Maximum characters of a name with a series. The longest of a real server has 40.
MAX_NAME_LENGTH = 100

_NAME = re.compile(rf"{SENSITIVE_NAME.pattern}|user(name)?s?$", re.IGNORECASE)
#: For RE2, because a server chooses the values, and ``re`` needs time in proportion to the square of their length.
_VALUE = "(?i)" + "|".join(
    (
        "-----BEGIN",  # a key or certificate
        r"://[^/\s]*@|[^\s:/]:[^\s@]*@",  # a URL or address with credentials
        rf"""(?:{SENSITIVE_WORDS}|key)[\w-]*["']?\s*[=:\s]\s*\S""",  # password=…, requirepass …
        r"(?:^|\s)[><#!]\S",  # an ACL rule: >password, #hash
        r"^[^\s:/]+:[^\s:/.]*[^\s:/.\d][^\s:/.]*$",  # user:password, but not host:port
        KNOWN_TOKENS,
    )
)
#: Other tokens and hashes have a digit and a letter.
_TOKEN = re.compile(r"[\w+=-]{32,}")
#: Values that are certainly not secret, like most values: too short for a token, without a separator of words.
_PLAIN = re.compile(r"[\w.,%/+-]{0,10}", re.ASCII)
#: Settings that are not secret, although their names suggest it: switches, durations, the field of a certificate.
NOT_SECRET = frozenset({"tls-auth-clients", "tls-auth-clients-user", "rdb-key-save-delay", "key-load-delay"})
#: Names of settings with a secret value. Other names only mention a secret, for example ``x-auth-enabled``. For these,
#: the values ``yes`` and ``no`` are shown, but numbers are not.
SECRET_VALUE_NAMES = rf"(?i)({SENSITIVE_WORDS}|user|key)[a-z]*([._-]?file)?$"
_NUMBER = re.compile(r"-?\d{1,30}(\.\d{1,30})?", re.ASCII)


class SettingsOptions(Options):
    """Whether the settings of a server have series, and which of their values are hidden."""

    include_config_metrics: bool = Field(default=False, description="Whether each setting has a series.")
    hide: tuple[str, ...] = Field(
        (), description="Further settings to hide, apart from those that look secret; * matches any characters."
    )
    show: tuple[str, ...] = Field((), description="Settings to show although they look secret, by their exact names.")


def is_secret(name: str, value: str, options: SettingsOptions | None = None) -> bool:
    """Return whether the value of this setting must be hidden from users who may see the metrics."""
    options = options or SettingsOptions()
    if any(fnmatchcase(name.lower(), pattern.lower()) for pattern in options.hide):
        return True
    if name in options.show or name in NOT_SECRET:
        return False
    if _is_secret_name(name):
        return value not in ("yes", "no") or _compiled(SECRET_VALUE_NAMES).search(name) is not None
    return not _PLAIN.fullmatch(value) and (len(value) > MAX_LENGTH or _looks_secret(value))


@cache
def _compiled(pattern: str) -> Expression:
    """Return a compiled pattern. Few daemons show settings, so the others never load RE2, which takes 3 MB."""
    return compile_expression(pattern)


def _looks_secret(value: str) -> bool:
    if _compiled(_VALUE).search(value) is not None:
        return True
    return any(
        any("0" <= character <= "9" for character in token) and any(character.isalpha() for character in token)
        for token in _TOKEN.findall(value)
    )


@lru_cache(maxsize=2 * MAX_SETTINGS)
def _is_secret_name(name: str) -> bool:
    return _NAME.search(name) is not None


def settings_samples(
    text_metric: MetricSpec, number_metric: MetricSpec, settings: Mapping[str, str], options: SettingsOptions
) -> Iterator[Sample | OverflowCount]:
    """Yield ``…_config_key_value{key,value} 1`` for each setting, and ``…_config_value{key}`` for each number."""
    names = sorted(name for name in settings if len(name) <= MAX_NAME_LENGTH)[:MAX_SETTINGS]
    for name in names:
        text = settings[name]
        secret = bool(text) and is_secret(name, text, options)
        yield text_metric.sample(1.0, name, HIDDEN if secret else text)
        if not secret and _NUMBER.fullmatch(text):
            yield number_metric.sample(float(text), name)
    if len(settings) > len(names):
        yield OverflowCount(text_metric.location, len(settings) - len(names))
