"""A worker for the queue `render`: counts frames, tells how far it is, and stops politely on SIGTERM.

Run it with the id and the secret of a client:

    TASK_PIPELINE_URL=http://127.0.0.1:8090 CLIENT_ID=acme CLIENT_SECRET=... python examples/worker.py

It needs aiohttp and the module task_pipeline_worker. A Pipeline for it is examples/worker.yaml.
"""

import asyncio
import os
import signal
from typing import Any

from task_pipeline_worker import Failure, Job, Worker


async def render(job: Job) -> dict[str, Any]:
    """One job: what is returned is its result, what is raised its failure."""
    frames = job.payload.get("frames", 10)
    if not isinstance(frames, int) or frames < 0:
        raise Failure("payload.frames has to be a number of frames", exit_code=2)
    for frame in range(frames):
        await asyncio.sleep(0.1)  # the work; a cancelled job ends here
        job.progress(100 * frame // frames, f"frame {frame} of {frames}")
    return {"scene": job.payload.get("scene"), "frames": frames}


async def main() -> None:
    """Work until told to stop; what is being done then is finished."""
    worker = Worker(
        os.environ["TASK_PIPELINE_URL"], os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"], "render", render
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, worker.stop)
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main())
