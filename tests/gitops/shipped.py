"""The files of gitops/ as the tools run them: Lua for Argo CD, CEL for Flux.

Rule: Lua is run as Argo CD does, in version 5.1 and with the libraries base, table and package only; its `os` is
left out, since no script of ours needs a clock.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import cel
import yaml
from lupa import lua51

ROOT = Path(__file__).parents[2]
ARGOCD = ROOT / "gitops" / "argocd"
GROUP = ARGOCD / "taskpipeline.dev"
PIPELINE = GROUP / "Pipeline"
CONFIG = ARGOCD / "argocd-cm.yaml"
FLUX = ROOT / "gitops" / "flux" / "health-checks.yaml"
ABSENT = ("string", "math", "io", "os", "coroutine", "debug", "python", "load_file")

Thing = dict[str, Any]


def lua(script: str, obj: Thing) -> Any:
    """What a script returns for an object, as JSON would have it; an object that the script changes is a copy."""
    machine = lua51.LuaRuntime(unpack_returned_tuples=True, register_eval=False, register_builtins=False)
    state = machine.globals()
    for name in ABSENT:
        state[name] = None
    state["obj"] = machine.table_from(obj, recursive=True)
    return _plain(machine.execute(script), obj)


def _plain(value: Any, like: Any) -> Any:
    """A Lua value as JSON; `like` decides whether an empty table is a list, as Argo CD does."""
    if lua51.lua_type(value) != "table":
        return int(value) if isinstance(value, float) and value.is_integer() else value
    keys = list(value)
    if keys == list(range(1, len(keys) + 1)) and (keys or isinstance(like, list)):
        items = like if isinstance(like, list) else []
        return [_plain(value[key], items[key - 1] if key <= len(items) else None) for key in keys]
    fields = like if isinstance(like, dict) else {}
    return {key: _plain(value[key], fields.get(key)) for key in keys}


def health(kind: str, obj: Thing) -> Thing:
    """What the health check of a kind says: status and message."""
    answer: Thing = lua((GROUP / kind / "health.lua").read_text(), obj)
    return answer


def actions() -> list[str]:
    """The names of the actions on a Pipeline."""
    return sorted(path.parent.name for path in PIPELINE.glob("actions/*/action.lua"))


def enabled(obj: Thing) -> set[str]:
    """The actions that may be taken on a Pipeline now."""
    found = lua((PIPELINE / "actions" / "discovery.lua").read_text(), obj)
    assert sorted(found) == actions()
    return {name for name, entry in found.items() if not entry["disabled"]}


def act(action: str, obj: Thing) -> Thing:
    """The Pipeline as an action wants it."""
    changed: Thing = lua((PIPELINE / "actions" / action / "action.lua").read_text(), obj)
    return changed


def patch_of(action: str, obj: Thing) -> Thing:
    """The merge patch that Argo CD sends for an action."""
    patch: Thing = _difference(obj, act(action, obj))
    return patch


def _difference(old: Thing, new: Thing) -> Thing:
    changed: Thing = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            inner = _difference(before, value)
            changed |= {key: inner} if inner else {}
        elif value != before:
            changed[key] = value
    return changed


def recorded(kind: str = "Pipeline") -> Mapping[str, Thing]:
    """The recorded objects of a kind, by the situation that they are in."""
    return {path.stem: yaml.safe_load(path.read_text()) for path in sorted((GROUP / kind / "testdata").glob("*.yaml"))}


@cache
def checks() -> Mapping[str, Callable[[Thing], bool]]:
    """The expressions for Flux, each to be asked of an object."""
    (entry,) = yaml.safe_load(FLUX.read_text())
    return {name: _asker(entry[name]) for name in ("inProgress", "failed", "current")}


def _asker(expression: str) -> Callable[[Thing], bool]:
    program = cel.compile(expression)

    def ask(obj: Thing) -> bool:
        answer = program.execute(obj)
        assert isinstance(answer, bool)
        return answer

    return ask


def config_map() -> str:
    """argocd-cm.yaml: the scripts as entries of Argo CD's ConfigMap."""
    data: dict[str, str] = {}
    for folder in sorted(GROUP.iterdir()):
        key = f"{GROUP.name}_{folder.name}"
        data[f"resource.customizations.health.{key}"] = (folder / "health.lua").read_text()
        scripts = folder / "actions"
        if scripts.is_dir():
            data[f"resource.customizations.actions.{key}"] = _text(dict(_entries(scripts)))
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm", "namespace": "argocd"}}
    head = "# Made from gitops/argocd/taskpipeline.dev by `make manifests`; do not edit.\n"
    return head + _text({**body, "data": data})


def _entries(scripts: Path) -> Iterator[tuple[str, Any]]:
    yield "discovery.lua", (scripts / "discovery.lua").read_text()
    names = sorted(path.parent.name for path in scripts.glob("*/action.lua"))
    yield "definitions", [{"name": name, "action.lua": (scripts / name / "action.lua").read_text()} for name in names]


class _Block(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Block.add_representer(str, _string)


def _text(value: Any) -> str:
    text: str = yaml.dump(json.loads(json.dumps(value)), Dumper=_Block, sort_keys=False, width=1000)
    return text
