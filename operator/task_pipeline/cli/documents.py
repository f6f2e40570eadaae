"""Manifests as users write them, YAML or JSON, read as kubectl reads them, with the place of every value.

Rule: values mean what they mean to kubectl (`sigs.k8s.io/yaml`): no dates, no numbers in base 60, texts for names of
fields, and a name that stands twice in a map is a fault. Aliases are followed up to a bound, so that no small file can
become a large object.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MAX_BYTES = 3 * 2**20  # what the API server takes
MAX_VALUES = 1_000_000
MAX_DEPTH = 100
_TAG = "tag:yaml.org,2002:"
_ESCAPE = re.compile(  # of JSON: a pair of surrogates, half of one, any other
    r"\\(?:(?P<pair>u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)
_PATH = re.compile(r"\[(\d+)\]")
_INT = re.compile(r"[-+]?(?:0b[0-1_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|[1-9][0-9_]*|0)")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?|"
    r"\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)"
)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Composes nodes only; which scalars are numbers is decided as kubectl does."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, test) for tag, test in tests if tag.rpartition(":")[2] not in ("timestamp", "int", "float")]
    for first, tests in _Loader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(f"{_TAG}int", re.compile(rf"^(?:{_INT.pattern})$"), list("-+0123456789"))
_Loader.add_implicit_resolver(f"{_TAG}float", re.compile(rf"^(?:{_FLOAT.pattern})$"), list("-+0123456789."))


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file: its plain content, and the faults that reading it found, as (path, message)."""

    source: str
    content: Any
    faults: tuple[tuple[str, str], ...] = ()
    node: Node | None = None
    at: tuple[int, int] = (1, 1)
    text: str = ""  # of JSON, where the places are only looked for when they are asked for

    def place(self, path: str) -> tuple[int, int]:
        """Line and column, from 1, of the value at `path` such as `spec.jobs[3].timeout`; of a field its name.

        Where the value is absent it is the place of what should hold it.
        """
        node = _composed(self.text) if self.text else self.node
        if node is None:
            return self.at
        mark = _mark(node, path)
        return mark.line + 1, mark.column + 1


class Unreadable(Exception):
    """A file that is no YAML; the text begins with its place."""


def read(source: str, raw: bytes) -> list[Document]:
    """The documents of a file, empty ones left out. Raises Unreadable."""
    if len(raw) > 16 * MAX_BYTES:
        raise Unreadable(f"{source}: is larger than {16 * MAX_BYTES} bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"{source}:{line}: is no UTF-8 text") from error
    if text.lstrip()[:1] == "{":
        text = text.replace("\t", " ")  # JSON allows tabs between tokens, and inside texts it has none
        document = _json(source, text)
        if document is not None:
            return [document]
    loader = _Loader(text)
    found = []
    try:
        while loader.check_node():
            node = loader.get_node()
            if not (isinstance(node, ScalarNode) and node.tag == f"{_TAG}null"):
                found.append(_document(source, node))
    except yaml.MarkedYAMLError as error:
        raise Unreadable(_words(source, error)) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Unreadable(f"{source}: cannot be read: {str(error).splitlines()[0]}") from error
    finally:
        loader.dispose()
    return found


def _json(source: str, text: str) -> Document | None:
    """The one document of a text in JSON; None when it is none, or one with faults, which YAML then finds.

    YAML takes nearly all of JSON: not the pairs of surrogates, for one, that stand for an emoji. Half of such a pair is
    read as U+FFFD, as kubectl does.
    """
    try:
        content = json.loads(_ESCAPE.sub(_whole_pairs, text), object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    begin = text.index("{")
    at = text.count("\n", 0, begin) + 1, begin - text.rfind("\n", 0, begin)
    return Document(source, content, text=text, at=at) if _is_small(content) else None


def _whole_pairs(escape: re.Match[str]) -> str:
    return "\\ufffd" if escape["half"] else escape[0]


def _no_pairs(escape: re.Match[str]) -> str:
    return re.sub(r"(?i)\\ud[89a-f]..", r"\\ufffd", escape[0]) if escape["half"] or escape["pair"] else escape[0]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a name stands twice")
    return made


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")


def _is_small(content: Any) -> bool:
    level, count = [content], 0
    for _ in range(MAX_DEPTH + 1):
        count += len(level)
        if not level or count > MAX_VALUES:
            break
        level = [inner for one in level if isinstance(one, dict | list) for inner in _inside(one)]
    return not level and count <= MAX_VALUES


def _inside(one: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return one.values() if isinstance(one, dict) else one


@lru_cache(maxsize=4)
def _composed(text: str) -> Node | None:
    """The node of a text in JSON, with every value at its place; None where YAML does not take it."""
    loader = _Loader(_ESCAPE.sub(_no_pairs, text))
    try:
        node: Node | None = loader.get_single_node()
        return node
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    finally:
        loader.dispose()


def _words(source: str, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark is not None else source
    context = f"{error.context}: " if error.context else ""
    return f"{where}: no valid YAML: {context}{error.problem}"


def _document(source: str, node: Node) -> Document:
    builder = _Builder()
    content = builder.value(node, "", 0)
    mark = node.start_mark
    return Document(source, content, tuple(builder.faults), node, (mark.line + 1, mark.column + 1))


class _Builder:
    """Makes plain values of nodes and notes what is wrong with them."""

    def __init__(self) -> None:
        self.faults: list[tuple[str, str]] = []
        self._count = 0

    def value(self, node: Node, path: str, depth: int) -> Any:
        """The value of a node; None with a fault where there is none."""
        self._count += 1
        if self._count > MAX_VALUES or depth > MAX_DEPTH:
            if not any(message.startswith("too large") for _, message in self.faults):
                self.faults.append(("", f"too large: more than {MAX_VALUES} values, or {MAX_DEPTH} levels"))
            return None
        if isinstance(node, MappingNode):
            return self._map(node, path, depth)
        if isinstance(node, SequenceNode):
            return [self.value(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _map(self, node: MappingNode, path: str, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                merged |= self._merged(value_node, path, depth)
                continue
            if not isinstance(key_node, ScalarNode):
                self.faults.append((path, "the name of a field must be a text"))
                continue
            key = self._key(key_node)
            inner = f"{path}.{key}" if path else key
            if key in made:
                self.faults.append((inner, "stands twice in this map; remove one of them"))
            made[key] = self.value(value_node, inner, depth + 1)
        return {**merged, **made} if merged else made

    def _merged(self, node: Node, path: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for part in reversed(node.value) if isinstance(node, SequenceNode) else [node]:
            if isinstance(part, MappingNode):
                found |= self._map(part, path, depth + 1)
            else:
                self.faults.append((path, "`<<` must name a map"))
        return found

    def _key(self, node: ScalarNode) -> str:
        value = self._scalar(node, "")
        return value if isinstance(value, str) else json.dumps(value)

    def _scalar(self, node: Node, path: str) -> Any:
        text = str(node.value)
        match node.tag.removeprefix(_TAG):
            case "null":
                return None
            case "bool":
                return text.lower() in ("true", "yes", "on")
            case "int":
                return _whole(text)
            case "float":
                return self._float(text, path)
            case "str" | "value":
                return text
            case other:
                self.faults.append((path, f"the tag {other!r} is not supported"))
                return None

    def _float(self, text: str, path: str) -> float | None:
        plain = text.replace("_", "").lower()
        if "inf" in plain or "nan" in plain:
            self.faults.append((path, f"{text} is no number of JSON; put it in quotes if a text is meant"))
            return None
        return float(plain)


def _whole(text: str) -> int:
    plain = text.replace("_", "").lower()
    sign, digits = (-1, plain[1:]) if plain[:1] == "-" else (1, plain.removeprefix("+"))
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        return sign * int(digits, 8)
    return sign * int(digits, 0)


def _mark(node: Node, path: str) -> yaml.Mark:
    """The place of `path` below `node`, or of the last part of it that exists."""
    mark, rest = node.start_mark, path
    while rest:
        found = _step(node, rest)
        if found is None:
            return mark
        node, rest, mark = found
    return mark


def _step(node: Node, path: str) -> tuple[Node, str, yaml.Mark] | None:
    """One step along `path`: the node there, what is left of the path, and the place."""
    if isinstance(node, SequenceNode):
        index = _PATH.match(path)
        if index is None or int(index[1]) >= len(node.value):
            return None
        item = node.value[int(index[1])]
        return item, path[index.end() :].removeprefix("."), item.start_mark
    if not isinstance(node, MappingNode):
        return None
    best: tuple[ScalarNode, Node] | None = None
    for key, value in _pairs(node):
        name = str(key.value)
        fits = path == name or (path.startswith(name) and path[len(name)] in ".[")
        if fits and (best is None or len(name) >= len(str(best[0].value))):  # names may hold dots: the longest counts
            best = key, value
    if best is None:
        return None
    key, value = best
    return value, path[len(str(key.value)) :].removeprefix("."), key.start_mark


def _pairs(node: MappingNode) -> Iterator[tuple[ScalarNode, Node]]:
    for key, value in node.value:
        if key.tag == f"{_TAG}merge":
            for part in value.value if isinstance(value, SequenceNode) else [value]:
                if isinstance(part, MappingNode):
                    yield from _pairs(part)
        elif isinstance(key, ScalarNode):
            yield key, value
