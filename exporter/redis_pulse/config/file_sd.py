"""Lists of targets in the format of Prometheus' file_sd and http_sd: ``[{targets: [host:port], labels: {team: web}}]``.

Two labels that begin with ``__`` have a meaning. ``__module`` names the module of the targets. ``__name`` is the name
of the target, if the group has only one. Others, such as ``__meta_…``, are for Prometheus.
"""

import json
from typing import Any, Final, NamedTuple

#: Characters that the reader in C takes less than 2 ms for.
_QUICK = 100_000
#: Limits for the texts and the groups of one document that are kept. Further ones are read, counted and dropped.
#: 400 000 texts take 30 MB. The garbage collector holds the event loop for 30 ms while it visits 100 000 groups.
_MAX_TEXTS, _MAX_GROUPS = 100_000, 25_000
#: Stands in a list for an entry that was dropped.
DROPPED: Final = object()


class TargetGroup(NamedTuple):
    """Targets as the list writes them, and their labels. ``dropped`` counts further ones, beyond the limit."""

    targets: tuple[str, ...]
    labels: dict[str, str]
    dropped: int = 0


def read_groups(text: str, *, is_yaml: bool) -> list[TargetGroup]:
    """Return the groups of a list. The last one counts the groups beyond the limit, if there are any.

    Raises ValueError for anything else. The message repeats nothing of the text; it may have a line number.
    """
    if is_yaml:
        from redis_pulse.config.yaml_groups import parse_yaml_groups  # few daemons read such a file

        data = parse_yaml_groups(text)
    else:
        data = _parse_json(text)
    if not isinstance(data, list):
        raise ValueError("must be a list of groups such as [{targets: [host:port]}]")  # noqa: TRY004
    groups = [_parse_group(index, item) for index, item in enumerate(data) if item is not DROPPED]
    if dropped := len(data) - len(groups):
        groups.append(TargetGroup((), {}, dropped))
    return groups


class EntryBudget:
    """Decides which entries of the lists of one document are kept: the first ones."""

    def __init__(self) -> None:
        self._texts, self._groups = _MAX_TEXTS, _MAX_GROUPS

    def kept(self, entry: Any) -> Any:
        """Return the entry, or ``DROPPED``."""
        if isinstance(entry, str):
            self._texts -= 1
            return entry if self._texts >= 0 else DROPPED
        self._groups -= 1
        return entry if self._groups >= 0 else DROPPED


class _Decoder(json.JSONDecoder):
    """Reads lists and objects in Python instead of C.

    The reader in C does not release the interpreter before its end. In a thread it would stop the event loop meanwhile.
    """

    def __init__(self) -> None:
        super().__init__()
        self._budget = EntryBudget()
        self.parse_object: Any = json.decoder.JSONObject  # type: ignore[attr-defined]
        self.parse_array: Any = self._read_array
        self.scan_once: Any = json.scanner.py_make_scanner(self)  # type: ignore[attr-defined]

    def _read_array(self, text_and_start: tuple[str, int], scan_once: Any) -> Any:
        def scan_entry(text: str, start: int) -> tuple[Any, int]:
            value, end = scan_once(text, start)
            return self._budget.kept(value), end

        return json.decoder.JSONArray(text_and_start, scan_entry)  # type: ignore[attr-defined]


def _parse_json(text: str) -> Any:
    try:
        return (_Decoder().decode if len(text) > _QUICK else json.loads)(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not valid JSON, at line {error.lineno}") from None
    except (ValueError, RecursionError):
        raise ValueError("is not valid JSON") from None


def _parse_group(index: int, item: Any) -> TargetGroup:
    if not isinstance(item, dict) or not set(item) <= {"targets", "labels", "source"}:
        raise ValueError(f"[{index}] must be a mapping with targets and optional labels")
    listed, labels = item.get("targets"), item.get("labels") or {}
    if not isinstance(listed, list) or not all(isinstance(target, str) or target is DROPPED for target in listed):
        raise ValueError(f"[{index}].targets must be a list of texts such as host:port")
    if not isinstance(labels, dict) or not all(isinstance(text, str) for pair in labels.items() for text in pair):
        raise ValueError(f"[{index}].labels must be a mapping from names to texts: put numbers in quotes")
    targets = tuple([target for target in listed if target is not DROPPED])
    return TargetGroup(targets, labels, len(listed) - len(targets))
