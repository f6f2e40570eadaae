"""How long the page of a large Pipeline takes on the server: `python -m tests.server.web.benchmark [JOBS]`."""

import asyncio
import sys
import time

from tests.server.web.crowd import PAGE, many
from tests.server.web.site import visitor
from tests.server.whole import whole

ROUNDS = 7


async def main(jobs: int) -> None:
    """Print the best and the middle of some rounds, and the size."""
    async with whole() as site:
        many(site, jobs, stages=5)
        browser = await visitor(site, "acme")
        times, size = [], 0
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            size = len((await browser.get(PAGE)).text.encode())
            times.append((time.perf_counter() - begin) * 1000)
        times.sort()
        print(f"{jobs} jobs: best {times[0]:.0f} ms, middle {times[ROUNDS // 2]:.0f} ms, {size / 1000:.0f} kB")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
