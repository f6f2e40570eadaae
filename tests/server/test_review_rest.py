"""What a client could do to the others: hold the server's attention, its streams, its memory, or its log."""

import asyncio
import json
import time
from io import BytesIO
from typing import Any

import pytest

from tests.server.site import Site

MUCH = 150_000


def _job(**params: Any) -> dict[str, Any]:
    return {"name": "a", "stage": "s", "kind": "Shell", "version": "1.0.0", "params": params}


@pytest.mark.parametrize(
    "spec",
    [
        {"stages": ["s"], "jobs": [{"nam": 1}] * MUCH},
        {f"stag{number:x}": 1 for number in range(MUCH)},
        {"stages": ["s"], "jobs": [_job(**{f"imag{number:x}": 1 for number in range(MUCH)})]},
        {"stages": [f"s{number}" for number in range(MUCH)], "jobs": [{"name": "a", "stage": "t"}] * 2000},
        {"stages": [[]] * 3 * MUCH},
    ],
    ids=["jobs", "fields", "params", "stages", "lists"],
)
async def test_no_body_of_faults_holds_the_server_for_long(site: Site, spec: Any) -> None:
    longest = 0.0

    async def look() -> None:
        nonlocal longest
        while True:
            before = time.monotonic()
            assert (await site.call("GET", "//healthz", by=None)).status == 200
            longest = max(longest, time.monotonic() - before)

    looking = asyncio.create_task(look())
    url = "/api/v1/namespaces/team-a/pipelines:validate"
    sent = {"Authorization": "Bearer acme", "Content-Type": "application/json"}
    async with site.client.post(url, data=BytesIO(json.dumps({"spec": spec}).encode()), headers=sent) as response:
        assert response.status == 200
        assert not (await response.json())["valid"]
    looking.cancel()
    assert longest < 5  # it was half a minute and more
