"""Pipelines as people run them, RP01 to RP05: the manifests, for every world that tests have.

Dates without quotes stay text, as they do for kubectl.
"""

import json
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
NAMES = ("rp01", "rp02", "rp03", "rp04", "rp05")
Manifest = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """Without the rule for dates."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load(name: str) -> Manifest:
    """The manifest of `rp01` to `rp05`."""
    found: Manifest = yaml.load((HERE / f"{name}.yaml").read_text(), _Loader)
    return found


def job(manifest: Manifest, name: str) -> Manifest:
    """One job of it, to read or to change."""
    found: Manifest = next(one for one in manifest["spec"]["jobs"] if one["name"] == name)
    return found


def changed(manifest: Manifest, name: str, **fields: Any) -> Manifest:
    """A copy in which one job has other fields."""
    copy: Manifest = json.loads(json.dumps(manifest))
    job(copy, name).update(fields)
    return copy
