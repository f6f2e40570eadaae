"""The refusals of the API server, worded as it words them, as errors of `kube.errors`.

Rule: an error is built from an HTTP status and a metav1.Status body, through the same function as on a real
connection, so that its class can never differ from the real one.
"""

from collections.abc import Sequence

from task_pipeline.api.resources import Resource
from task_pipeline.kube.errors import ApiError, from_status


def refusal(status: int, reason: str, message: str, retry_after: int | None = None) -> ApiError:
    """Any refusal; `retry_after` in seconds."""
    body = {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": status}
    return from_status(status, body, None if retry_after is None else str(retry_after))


def not_found(resource: Resource, name: str) -> ApiError:
    """404 for an object."""
    return refusal(404, "NotFound", f'{_plural(resource)} "{name}" not found')


def no_such_path() -> ApiError:
    """404 for a subresource that the resource does not have."""
    return refusal(404, "NotFound", "the server could not find the requested resource")


def already_exists(resource: Resource, name: str) -> ApiError:
    """409 on create."""
    return refusal(409, "AlreadyExists", f'{_plural(resource)} "{name}" already exists')


def stale(resource: Resource, name: str) -> ApiError:
    """409 for a resourceVersion that is not the present one."""
    text = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(resource, name, text)


def other_uid(resource: Resource, name: str, wanted: str, found: str) -> ApiError:
    """409 for a UID that is not the object's."""
    text = f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
    return conflict(resource, name, text)


def other_version(resource: Resource, name: str, wanted: str, found: str) -> ApiError:
    """409 for a resourceVersion that is not the object's, where a deletion names one."""
    text = f"Precondition failed: ResourceVersion in precondition: {wanted}, ResourceVersion in object meta: {found}"
    return conflict(resource, name, text)


def conflict(resource: Resource, name: str, text: str) -> ApiError:
    """409 with a text of one's own."""
    return refusal(409, "Conflict", f'Operation cannot be fulfilled on {_plural(resource)} "{name}": {text}')


def owned_fields(managers: Sequence[str]) -> ApiError:
    """409 of a server-side apply; one text per other manager, naming it and its fields."""
    count = sum(text.count("\n- ") or 1 for text in managers)
    head = f"Apply failed with {count} conflict{'' if count == 1 else 's'}: "
    return refusal(409, "Conflict", head + "\n".join(managers))


def invalid(resource: Resource, name: str, faults: Sequence[str]) -> ApiError:
    """422 with every fault, each beginning with the path of its field."""
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    text = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
    return refusal(422, "Invalid", f'{kind} "{name}" is invalid: {text}')


def bad_patch(reason: str = "the server rejected our request due to an error in our request") -> ApiError:
    """422 for a patch that cannot be carried out."""
    return refusal(422, "Invalid", reason)


def bad_request(message: str) -> ApiError:
    """400."""
    return refusal(400, "BadRequest", message)


def forbidden(resource: Resource, name: str, why: str) -> ApiError:
    """403 of an admission plugin."""
    return refusal(403, "Forbidden", f'{_plural(resource)} "{name}" is forbidden: {why}')


def expired(message: str) -> ApiError:
    """410: the place in history is not kept any more."""
    return refusal(410, "Expired", message)


def too_many(retry_after: int = 1) -> ApiError:
    """429."""
    text = "too many requests, please try again later"
    return refusal(429, "TooManyRequests", text, retry_after)


def server_error(status: int = 500) -> ApiError:
    """5xx."""
    return refusal(status, "InternalError", "etcdserver: request timed out")


def _plural(resource: Resource) -> str:
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural
