"""What a path of the API server is about."""

from typing import NamedTuple


class Place(NamedTuple):
    """A resource (plural, or plural/subresource), and the object if the path names one."""

    resource: str
    namespace: str | None
    name: str | None


def place_of(path: str) -> Place:
    """The place of a path such as /apis/GROUP/VERSION/namespaces/NAMESPACE/PLURAL/NAME/SUBRESOURCE."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = None
    if len(parts) > 2 and parts[0] == "namespaces":
        namespace, parts = parts[1], parts[2:]
    plural, name, *rest = (*parts, *("", "")[len(parts) :])
    return Place("/".join((plural, *rest)), namespace, name or None)
