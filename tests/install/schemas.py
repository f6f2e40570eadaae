"""Objects against the OpenAPI schemas of Kubernetes, as `kubernetes-validate --strict` does it."""

import json
from functools import cache

import kubernetes_validate
from kubernetes_validate import utils

from tests.install.helm import Document

VERSIONS = ("1.33", "1.37")  # the oldest that the chart is for, and the newest that is known

utils.schema_contents = cache(utils.schema_contents)  # it would read 15 MB again for each object


def faults(document: Document) -> list[str]:
    """What the schemas of all versions say against the object; renderings have most objects in common."""
    return list(_faults(json.dumps(document, sort_keys=True)))


@cache
def _faults(text: str) -> tuple[str, ...]:
    document, found = json.loads(text), []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            path = ".".join(map(str, error.path))
            found.append(f"{document['kind']} {document['metadata']['name']}: {version}: {path}: {error.message}")
    return tuple(found)
