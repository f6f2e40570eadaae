"""Plain JSON data as YAML for the panel: of bounded size, so that no look at a job keeps the process busy.

Rule: what is beyond the bound is left out before anything is rendered, and the text says so at its end. Texts of
several lines are blocks, and what is shared is repeated.
"""

from typing import Any

import yaml

MOST_CHARS = 64 * 1024  # of the data and of the text
MOST_DEPTH = 50
_CHARS_OF_VALUE = 8  # what each value counts beside its text: about what it takes to render one
CUT = "# There is more: use kubectl for all of it.\n"


def to_yaml(value: Any) -> str:
    """The data as YAML, with the line CUT at its end when something was left out."""
    budget = _Budget()
    text: str = yaml.dump(budget.kept(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    if len(text) > MOST_CHARS:
        budget.cut = True
        text = text[:MOST_CHARS].rpartition("\n")[0] + "\n"
    return text + CUT if budget.cut else text


class _Budget:
    """Copies data until MOST_CHARS have been spent. `cut`: something was left out."""

    def __init__(self) -> None:
        self.cut = False
        self._left = MOST_CHARS

    def kept(self, value: Any, depth: int = 0) -> Any:
        """As much of `value` as there is room for."""
        self._left -= _CHARS_OF_VALUE
        if isinstance(value, str):
            return self._text(value)
        if not isinstance(value, (dict, list)):
            return value
        if depth == MOST_DEPTH:
            self.cut = self.cut or bool(value)
            return type(value)()
        made: Any = type(value)()
        for item in value:
            if self._left <= 0:
                self.cut = True
                break
            if isinstance(value, dict):
                made[self._text(item)] = self.kept(value[item], depth + 1)
            else:
                made.append(self.kept(item, depth + 1))
        return made

    def _text(self, text: str) -> str:
        room = max(0, self._left)
        self.cut = self.cut or len(text) > room
        self._left -= len(text)
        return text[:room].encode("utf-8", "replace").decode()  # libyaml takes no lone surrogates


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represented(dumper: Any, value: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _represented)
