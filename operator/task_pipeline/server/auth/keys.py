"""The keys that sign tokens: one Secret that all replicas read, rotated with an overlap.

Rule: a new key is published some minutes before it signs, so every replica knows it by then; an old one verifies
until the last token that it may have signed has expired. Of replicas that rotate at the same moment one wins, by the
Secret's resourceVersion. A token with an unknown key id makes a replica read the Secret again before it says no.
"""

import itertools
import secrets
from collections.abc import Callable, Mapping, Sequence

import msgspec

from task_pipeline.kube.cluster import Cluster
from task_pipeline.kube.errors import Conflict, KubeError, NotFound
from task_pipeline.server.auth import vault
from task_pipeline.server.auth.asking import Flights
from task_pipeline.server.auth.vault import KEYS_SECRET, TYPE_SERVER, Sealed

KEY_BYTES = 32
ROTATE_SECONDS = 30 * 86_400
LONGEST_TOKEN_SECONDS = 7 * 86_400  # that of an attempt token
LEEWAY_SECONDS = 30
PUBLISH_SECONDS = 120
REFRESH_SECONDS = 30.0
STALE_SECONDS = 900.0  # how long known keys go on serving while the API server is away
FAILED_SECONDS = 2.0  # after a reading that failed they do so without another attempt
AGAIN_SECONDS = 1.0  # unknown key ids make a replica read at most this often
MOST_KEYS = 16


class Key(msgspec.Struct, frozen=True):
    """One key of 32 bytes. `created` and `signs_from` are Unix times."""

    secret: bytes
    created: float
    signs_from: float
    id: str = ""

    def __repr__(self) -> str:
        return f"Key({self.id})"


class TooManyKeys(Exception):
    """There are so many keys that no new one is made: revoke the old ones, or wait until they are over."""


def new_key(now: float, signs_from: float) -> Key:
    """A random key."""
    return Key(secrets.token_bytes(KEY_BYTES), now, signs_from, f"tp-{secrets.token_hex(8)}")


def signing(keys: Sequence[Key], now: float) -> Key:
    """The newest key that may sign by now; when none may yet, the one that may first."""
    ready = [key for key in keys if key.signs_from <= now]
    if ready:
        return max(ready, key=lambda key: (key.signs_from, key.id))
    return min(keys, key=lambda key: (key.signs_from, key.id))


def over(keys: Sequence[Key], now: float) -> list[Key]:
    """The keys whose last token has expired: a newer one has been signing for the longest life of a token."""
    newest_first = sorted(keys, key=lambda key: (key.signs_from, key.id), reverse=True)
    last = LONGEST_TOKEN_SECONDS + STALE_SECONDS + 2 * LEEWAY_SECONDS  # a replica may have missed the newer one
    return [key for newer, key in itertools.pairwise(newest_first) if newer.signs_from + last < now]


def is_due(keys: Sequence[Key], now: float) -> bool:
    """Whether it is time for a new key."""
    return all(key.created + ROTATE_SECONDS <= now for key in keys)


def parse(data: Mapping[str, bytes]) -> dict[str, Key]:
    """The keys in a Secret's data by id; an entry that is none is passed over."""
    found = {}
    for name, raw in data.items():
        try:
            key = msgspec.json.decode(raw, type=Key)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if len(key.secret) >= KEY_BYTES:
            found[name] = msgspec.structs.replace(key, id=name)
    return found


class KeyRing:
    """The keys as this replica knows them. `now` is Unix time, `clock` a steady one, both in seconds."""

    def __init__(
        self, cluster: Cluster, namespace: str, *, now: Callable[[], float], clock: Callable[[], float]
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._now = now
        self._clock = clock
        self._keys: dict[str, Key] = {}
        self._read_at = float("-inf")
        self._failed_at = float("-inf")
        self._flights: Flights[str, None] = Flights()

    async def signer(self) -> Key:
        """The key to sign with now. Raises KubeError when no key could be read for long."""
        await self._refresh(REFRESH_SECONDS)
        return signing(list(self._keys.values()), self._now())

    async def verifier(self, key_id: str) -> Key | None:
        """The key with that id, None when there is none. Raises KubeError when that cannot be found out."""
        await self._refresh(REFRESH_SECONDS)
        if key_id not in self._keys:
            await self._read_again(AGAIN_SECONDS)
        return self._keys.get(key_id)

    async def rotate(self, *, revoke: bool = False) -> str:
        """Publish a new key and return its id. `revoke`: it signs at once, and no other key is good any more.

        Raises KubeError, and TooManyKeys.
        """
        for _ in range(5):
            sealed = await self._sealed()
            keys, now = parse(sealed.data), self._now()
            key = new_key(now, now if revoke else now + PUBLISH_SECONDS)
            gone = list(sealed.data) if revoke else [one.id for one in over(list(keys.values()), now)]
            if len(keys) - len(gone) >= MOST_KEYS:
                raise TooManyKeys(f"{len(keys)} keys in Secret {KEYS_SECRET}: rotate with revoke, or wait")
            try:
                await self._write(sealed, key, gone)
            except Conflict:
                continue
            return key.id
        raise TooManyKeys(f"others keep changing Secret {KEYS_SECRET}: try again")

    async def _refresh(self, seconds: float) -> None:
        """Read the Secret if that is long ago; what is known serves on for a while when it cannot be read."""
        age = self._clock() - self._read_at
        if age < seconds or (age < STALE_SECONDS and self._clock() - self._failed_at < FAILED_SECONDS):
            return
        try:
            await self._flights.join("read", self._read)
        except KubeError:
            self._failed_at = self._clock()
            if age >= STALE_SECONDS:
                raise

    async def _read_again(self, seconds: float) -> None:
        if self._clock() - self._read_at >= seconds:
            await self._flights.join("read", self._read)

    async def _read(self) -> None:
        sealed = await self._sealed()
        keys, now = parse(sealed.data), self._now()
        if is_due(list(keys.values()), now):
            # The first key of all has to sign at once; nobody has tokens of another one.
            key = new_key(now, now + PUBLISH_SECONDS if keys else now)
            gone = [one.id for one in over(list(keys.values()), now)]
            try:
                sealed = await self._write(sealed, key, gone)
            except Conflict:
                sealed = await self._sealed()
            keys = parse(sealed.data)
        if not keys:
            raise Conflict(409, "Conflict", f"Secret {KEYS_SECRET} holds no key")
        self._keys = keys
        self._read_at = self._clock()

    async def _write(self, sealed: Sealed, key: Key, gone: Sequence[str]) -> Sealed:
        data: dict[str, bytes | None] = dict.fromkeys(gone)
        data[key.id] = msgspec.json.encode(msgspec.structs.replace(key, id=""))
        return await vault.change(self._cluster, self._namespace, KEYS_SECRET, sealed.version, data)

    async def _sealed(self) -> Sealed:
        try:
            return await vault.read(self._cluster, self._namespace, KEYS_SECRET)
        except NotFound:
            await vault.create(self._cluster, self._namespace, vault.manifest(KEYS_SECRET, TYPE_SERVER, {}))
            return await vault.read(self._cluster, self._namespace, KEYS_SECRET)
