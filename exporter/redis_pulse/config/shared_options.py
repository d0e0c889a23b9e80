"""One object for all equal settings.

Most targets have the same settings in nearly every group. A model of pydantic takes half a kilobyte, and a target has
25 of them.
"""

from typing import TypeVar

from redis_pulse.config.types import Options

_Model = TypeVar("_Model", bound=Options)
#: Different models that are remembered. Beyond it, all are forgotten, and later targets share new objects.
MAX_SHARED = 1000


class SharedOptions:
    """Remembers settings, which never change, by their values."""

    def __init__(self) -> None:
        #: by their values and the names of those that were set
        self._known: dict[tuple[Options, frozenset[str]], Options] = {}

    def share(self, options: _Model) -> _Model:
        """Return settings that equal these: the first ones that were shared."""
        if len(self._known) >= MAX_SHARED:
            self._known.clear()
        key = (options, frozenset(options.model_fields_set))
        return self._known.setdefault(key, options)  # type: ignore[return-value]  # equal ones have the same class
