"""Client secrets: how they are made, hashed and compared."""

import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_pipeline.server.auth import secrets
from task_pipeline.server.auth.secrets import StoredHash

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
PEPPER = b"p" * 32


def test_a_secret_holds_32_random_bytes_and_fits_into_a_header() -> None:
    made = {secrets.generate() for _ in range(100)}
    assert len(made) == 100
    assert all(one.startswith("tps_") and len(one) == 47 for one in made)
    assert all(set(one) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") for one in made)


@given(st.text(), st.text(), st.text(), st.text())
def test_no_other_id_and_secret_have_the_same_hash(id_1: str, secret_1: str, id_2: str, secret_2: str) -> None:
    same = secrets.digest(PEPPER, id_1, secret_1) == secrets.digest(PEPPER, id_2, secret_2)
    assert same == ((id_1, secret_1) == (id_2, secret_2))


def test_what_belongs_to_the_id_cannot_be_moved_into_the_secret() -> None:
    assert secrets.digest(PEPPER, "ab", "c") != secrets.digest(PEPPER, "a", "bc")
    assert secrets.digest(PEPPER, "a", "b") != secrets.digest(b"q" * 32, "a", "b")


@pytest.mark.parametrize(
    ("not_after", "good"),
    [
        (secrets.FOREVER, True),
        (NOW + timedelta(seconds=1), True),
        (NOW, False),
        (NOW - timedelta(days=1), False),
    ],
)
def test_a_secret_is_good_until_its_time(not_after: datetime, good: bool) -> None:
    presented = secrets.digest(PEPPER, "a", "s")
    assert secrets.matches(presented, [StoredHash(presented, not_after)], NOW) is good


def test_two_secrets_are_good_during_a_rotation() -> None:
    old, new, other = (secrets.digest(PEPPER, "a", text) for text in ("old", "new", "other"))
    stored = [StoredHash(old, NOW + timedelta(hours=1)), StoredHash(new)]
    assert [secrets.matches(one, stored, NOW) for one in (old, new, other)] == [True, True, False]


@pytest.mark.parametrize("stored", [0, 1, 2, 10])
@pytest.mark.parametrize("right", [True, False])
def test_every_check_makes_the_same_comparisons(monkeypatch: pytest.MonkeyPatch, stored: int, right: bool) -> None:
    calls = []

    def counted(a: bytes, b: bytes) -> bool:
        calls.append((len(a), len(b)))
        return a == b

    monkeypatch.setattr(hmac, "compare_digest", counted)
    hashes = [StoredHash(secrets.digest(PEPPER, "a", str(number))) for number in range(stored)]
    padded = secrets.padded(hashes)
    found = secrets.matches(secrets.digest(PEPPER, "a", "0" if right else "x"), padded, NOW)
    assert found is (right and stored > 0)
    assert calls == [(32, 32)] * 10


def test_the_zero_hash_is_nobodys() -> None:
    assert not secrets.matches(bytes(32), secrets.NOBODYS, NOW)


@given(st.binary(min_size=32, max_size=32))
def test_a_hash_survives_its_way_through_a_secret(hashed: bytes) -> None:
    assert secrets.from_data(secrets.to_data(hashed)) == hashed
    assert secrets.from_data(secrets.to_data(hashed) + b"\n") == hashed


@pytest.mark.parametrize("value", [None, b"", b"v1:", b"v1:zz", b"v2:" + b"00" * 32, b"v1:" + b"00" * 31, b"\xff"])
def test_what_is_no_hash_is_none(value: bytes | None) -> None:
    assert secrets.from_data(value) is None
