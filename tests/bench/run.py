"""Carries out blocks: a fresh cluster, C0, the contender, the workload, C0 again. Everything lands in one document."""

import asyncio
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import orjson
import uvloop

from tests.bench import calibration, counting
from tests.bench.client import client_of
from tests.bench.contenders.base import Contender, Work
from tests.bench.loads import backlog, crash, idle, simple
from tests.bench.plan import FULL, Block
from tests.bench.processes import Meter
from tests.bench.site import Site, site
from tests.bench.stand import Stand

WARM_UP = [Work(f"warm-{number}", 1, 2) for number in range(2)]
REST_SECONDS = 3.0
ALLOWED_FOREIGN_CORES = 0.1
CALIBRATION_WRITES = {"quick": 1500, FULL: 5000}
IDLE_SECONDS = {"quick": 60.0, FULL: 600.0}
_SIMPLE = {"W1": simple.w1, "W2": simple.w2, "W3": simple.w3}
_AUDITED = ("W4", "W4-1s", "W6")  # their figures need the log; the same for every contender

Document = dict[str, Any]


def run(
    document: Document,
    blocks: Sequence[Block],
    make: Callable[[str], Contender],
    form: str,
    scale: float,
    file: Path | None,
) -> None:
    """Carry out the blocks, and write the document to `file` after each: its result under `blocks`, or why there is
    none under `failed`; the others go on.
    """
    for number, block in enumerate(blocks, 1):
        what = f"{block.workload} {block.contender}, size {block.size}, round {block.round + 1}"
        click.echo(f"[{number}/{len(blocks)}] {what}{', counting requests' if block.counting else ''}")
        try:
            result = _block(block, make(block.contender), form, scale)
        except Exception as error:  # whatever a contender did: the other blocks are worth having
            document["failed"].append(asdict(block) | {"error": f"{type(error).__name__}: {error}"[:2000]})
            click.echo("".join(traceback.format_exception(error)), err=True)
        else:
            document["blocks"].append(asdict(block) | result)
            for mark in result["marks"]:
                click.echo(f"    marked: {mark}")
        if file is not None:
            file.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def _block(block: Block, contender: Contender, form: str, scale: float) -> dict[str, Any]:
    audit = block.counting or block.workload in _AUDITED
    with site(audit=audit) as place:
        try:  # outside of the event loop, so that whatever ends it leaves nothing behind
            result = uvloop.run(_calibrated(block, contender, place, form, scale))
        finally:
            contender.stop()
    return {"contender_is": contender.describe(), "audited": audit, **result}


async def _calibrated(block: Block, contender: Contender, place: Site, form: str, scale: float) -> dict[str, Any]:
    async with client_of(place.cluster) as client:
        await calibration.prepare(client)
        writes = max(round(CALIBRATION_WRITES[form] * scale), 200)
        before = await calibration.calibrate(client, writes, "before")
        await contender.install(client, place, block.workload, _slots(block))
        await asyncio.to_thread(contender.start, place)
        async with Stand(client, contender) as stand:
            result = await _measure(block, stand, place, form, scale)
        await asyncio.to_thread(contender.stop)
        after = await calibration.calibrate(client, writes, "after")
    result["marks"] = calibration.marks(before, after) + result["marks"]
    return {"calibration": {"before": asdict(before), "after": asdict(after)}, **result}


async def _measure(block: Block, stand: Stand, place: Site, form: str, scale: float) -> dict[str, Any]:
    await stand.submit(WARM_UP)
    await stand.wait_over(WARM_UP)
    await asyncio.sleep(REST_SECONDS)
    stand.forget()
    pid = stand.contender.pid
    mark = place.cluster.audit_log.stat().st_size if block.counting else 0
    counted = block.workload in _SIMPLE
    # W5 and W6 end one process and start another; what they use is in their own figures
    own = {stand.contender.name: pid} if pid is not None and block.workload not in ("W5", "W6") else {}
    meter = Meter({**place.pids(), **own}, time.monotonic())
    figures = await _figures(block, stand, place, form, scale)
    usage = meter.read(time.monotonic())
    if block.counting:
        await asyncio.sleep(REST_SECONDS)  # what trails the end is written, and is in the log
        events = counting.requests(place.cluster.audit_log, mark)
        figures = counting.figures(events, figures["jobs"], stand.contender.audit_users)
    foreign = usage.foreign_cpu / usage.seconds
    result = {"figures": figures, "usage": asdict(usage) | {"foreign_cores": foreign}}
    if counted and not block.counting:
        per_thousand = {name: 1000 * seconds / figures["jobs"] for name, seconds in usage.cpu.items()}
        cluster = sum(seconds for name, seconds in per_thousand.items() if name != "bench")
        result["cpu_per_1000_jobs"] = {**per_thousand, "cluster": cluster}
    noisy = foreign > ALLOWED_FOREIGN_CORES
    return result | {"marks": [f"others used {foreign:.2f} cores"] if noisy else []}


async def _figures(block: Block, stand: Stand, place: Site, form: str, scale: float) -> dict[str, Any]:
    match block.workload:
        case "W4" | "W4-1s":
            return await backlog.measure(stand, place, backlog.Load(block.size, _seconds(block)))
        case "W5":
            return await crash.measure(stand, place, crash.Load(block.size))
        case "W6":
            return await idle.measure(stand, place, block.size, max(IDLE_SECONDS[form] * min(scale, 1.0), 10.0))
        case _:
            return await _SIMPLE[block.workload](stand, block.size)


def _seconds(block: Block) -> float:
    return 1.0 if block.workload == "W4-1s" else 8.0


def _slots(block: Block) -> int | None:
    """The limit that a workload is about; None: as shipped."""
    if block.workload == "W5":
        return crash.Load(block.size).slots
    return backlog.SLOTS if block.workload in ("W4", "W4-1s") else None
