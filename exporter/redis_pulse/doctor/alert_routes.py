"""Where does Alertmanager send an alert? Pure functions over its configuration, which it publishes without secrets."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_MATCHER = re.compile(r'\s*"?([A-Za-z_][\w:]*)"?\s*(=~|!~|!=|=)\s*(.*?)\s*$', re.DOTALL)
_MAX_DEPTH = 50


def receivers_of(config: Mapping[str, Any], labels: Mapping[str, str]) -> list[str]:
    """Return the receivers of an alert with these labels, in the order of the routes."""
    root = config.get("route")
    if not isinstance(root, dict):
        return []
    return list(dict.fromkeys(_route(root, labels, str(root.get("receiver", "")), _MAX_DEPTH)))


def receivers_without_integration(config: Mapping[str, Any]) -> frozenset[str]:
    """Return the receivers that send nothing: they have no list such as ``email_configs``."""
    receivers = config.get("receivers")
    return frozenset(
        str(one.get("name"))
        for one in (receivers if isinstance(receivers, list) else ())
        if isinstance(one, dict) and not any(name.endswith("_configs") and one[name] for name in one)
    )


def _route(route: Mapping[str, Any], labels: Mapping[str, str], inherited: str, depth: int) -> Iterator[str]:
    """Yield the receivers of the deepest routes that match. A route without ``continue`` ends the search."""
    receiver = str(route.get("receiver") or inherited)
    found = False
    children = route.get("routes")
    for child in children if isinstance(children, list) and depth > 0 else ():
        if isinstance(child, dict) and _matches(child, labels):
            found = True
            yield from _route(child, labels, receiver, depth - 1)
            if str(child.get("continue", "")).lower() != "true":
                return
    if not found:
        yield receiver


def _matches(route: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    equal, pattern = route.get("match") or {}, route.get("match_re") or {}
    matchers = route.get("matchers") or ()
    texts: Sequence[Any] = [matchers] if isinstance(matchers, str) else matchers
    return (
        all(labels.get(name, "") == str(value) for name, value in equal.items())
        and all(_is_match(str(value), labels.get(name, "")) for name, value in pattern.items())
        and all(_matches_text(part, labels) for text in texts for part in _parts(str(text)))
    )


def _parts(text: str) -> list[str]:
    """Return the matchers in ``{a="b", c="d"}`` or in a text with one matcher."""
    inner = text.strip()
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1]
    return [part for part in re.findall(r'(?:[^,"]|"(?:\\.|[^"\\])*")+', inner) if part.strip()]


def _matches_text(text: str, labels: Mapping[str, str]) -> bool:
    match = _MATCHER.fullmatch(text)
    if match is None:
        return False
    name, operator, value = match.groups()
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    is_match = _is_match(value, labels.get(name, "")) if "~" in operator else labels.get(name, "") == value
    return is_match != operator.startswith("!")


def _is_match(pattern: str, value: str) -> bool:
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:
        return False
