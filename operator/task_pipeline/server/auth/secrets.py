"""Client secrets: made here, shown once, kept as a keyed hash.

Rule: a secret is 32 random bytes, so a fast hash is enough (there is nothing to guess), and a stolen hash is useless
without the pepper, which lies in another Secret. Checking costs one hash and a fixed number of constant-time
comparisons for every id and every secret, known or not.
"""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

PREFIX = "tps_"
SECRET_BYTES = 32
PEPPER_BYTES = 32
MOST_CREDENTIALS = 10  # as many as a PipelineClient may name
_VERSION = b"v1:"
FOREVER = datetime.max.replace(tzinfo=UTC)
NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StoredHash:
    """The keyed hash of one secret, and the time from which it is no longer good."""

    digest: bytes
    not_after: datetime = FOREVER


NOBODYS = (StoredHash(bytes(32), NEVER),) * MOST_CREDENTIALS


def generate() -> str:
    """A new secret."""
    return PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def new_pepper() -> bytes:
    """A new key for the hashes."""
    return secrets.token_bytes(PEPPER_BYTES)


def digest(pepper: bytes, client: str, secret: str) -> bytes:
    """The keyed hash of `secret` for the client with that id: 32 bytes."""
    name = client.encode("utf-8", "replace")
    message = len(name).to_bytes(4, "big") + name + secret.encode("utf-8", "replace")
    return hmac.digest(pepper, message, "sha256")


def padded(stored: Sequence[StoredHash]) -> tuple[StoredHash, ...]:
    """The hashes of a client, filled up with nobody's, so that all clients have equally many."""
    return (*stored, *NOBODYS)[:MOST_CREDENTIALS]


def matches(presented: bytes, stored: Sequence[StoredHash], now: datetime) -> bool:
    """Whether one of `stored` is good at `now` and is `presented`; of padded hashes every one is compared, always."""
    found = False
    for known in stored:
        found |= hmac.compare_digest(presented, known.digest) & (now < known.not_after)
    return found


def to_data(hashed: bytes) -> bytes:
    """A hash as a Secret holds it."""
    return _VERSION + hashed.hex().encode()


def from_data(value: bytes | None) -> bytes | None:
    """The hash in a Secret's data, None when it holds none that can be read."""
    if value is None or not value.startswith(_VERSION):
        return None
    try:
        found = bytes.fromhex(value.removeprefix(_VERSION).strip().decode("ascii"))
    except ValueError:
        return None
    return found if len(found) == 32 else None
