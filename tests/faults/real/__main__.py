"""The long runs on a real API server: `python -m tests.faults.real`, or one of them by name.

Each run has a cluster of its own and puts its entry into the report. Everything is on loopback and ends by itself.
"""

import contextlib
import random
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from tests.cluster.config import NodeMode
from tests.cluster.fixtures import temporary_cluster
from tests.faults import report
from tests.faults.real import byhand, clocks, handovers, idle, kills, scenarios, servers, watches, writes
from tests.faults.real.place import Site
from tests.faults.real.recorder import Recorder
from tests.faults.real.runs import Ended
from tests.faults.real.sweeps import LANES, sweep
from tests.faults.report import Entry
from tests.operators import install

Run = Callable[[Site], list[Entry]]
SAMPLE = 150  # write faults, watch faults and stale lists of one long run


@contextlib.contextmanager
def site(folder: Path | None) -> Iterator[Site]:
    """A cluster with CRDs and a recorder; logs and the histories of bad runs stay in `folder` if there is one."""
    with temporary_cluster(NodeMode.SIMULATED) as cluster, tempfile.TemporaryDirectory() as scratch:
        install(cluster.kubeconfig)
        kept = Path(scratch) if folder is None else folder
        kept.mkdir(parents=True, exist_ok=True)
        with Recorder(cluster.kubeconfig) as recorder:
            yield Site(cluster, recorder, kept)


def tell(line: str) -> None:
    """One line for people, with the time."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def every_kill(at: Site, lanes: int, only: str | None) -> list[Entry]:
    """The exhaustive kill sweep."""
    known = kills.references(at)
    tell(f"writes without a fault: { {name: ended.writes for name, ended in known.items()} }")
    points = [point for point in kills.points(known) if only in (None, point.scenario.name)]

    def strike(point: kills.Point) -> Ended:
        return kills.kill_at(at, point, known[point.scenario.name].outcome)

    entry = sweep("killed before and after every write", points, strike, lanes=lanes, tell=tell)
    entry.numbers = {f"writes of {name}": float(ended.writes) for name, ended in known.items()}
    return [entry]


def some_writes(at: Site, lanes: int, count: int, seed: int) -> list[Entry]:
    """A sample of the write faults."""
    known = kills.references(at)
    points = random.Random(seed).sample(writes.points(known), count)

    def strike(point: writes.Point) -> Ended:
        return writes.strike(at, point, known[point.scenario.name].outcome)

    return [sweep("write faults", points, strike, lanes=lanes, seed=seed, tell=tell)]


def some_watches(at: Site, lanes: int, count: int, seed: int) -> list[Entry]:
    """A sample of the watch faults, and of stale lists."""
    known, rng = kills.references(at), random.Random(seed)
    points = rng.sample(watches.points(), count)
    pasts = [(rng.choice(scenarios.SCENARIOS), rng.random(), rng.randrange(2**31)) for _ in range(count // 2)]

    def strike(point: watches.Point) -> Ended:
        return watches.strike(at, point, known[point.scenario.name].outcome)

    def stale(past: tuple[scenarios.Scenario, float, int]) -> Ended:
        scenario, share, own = past
        reference = known[scenario.name]
        return watches.stale(at, scenario, 1 + int(share * reference.writes), own, reference.outcome)

    def silent(stream: str) -> Ended:
        scenario = scenarios.SCENARIOS[0]
        return watches.silent(at, scenario, stream, 2, known[scenario.name].outcome, 240.0)

    return [
        sweep("watch faults", points, strike, lanes=lanes, seed=seed, tell=tell),
        sweep("stale lists for a new operator", pasts, stale, lanes=lanes, seed=seed, tell=tell),
        sweep("silent streams", watches.STREAMS[:3], silent, lanes=3, tell=tell),
    ]


def every_handover(at: Site, count: int, shipped: int, seed: int) -> list[Entry]:
    """Handovers with a short Lease, half of them by standing still, and some with the Lease as it is shipped."""
    rng = random.Random(seed)
    ways: list[handovers.Way] = ["killed", "paused"] * (count // 2)
    rng.shuffle(ways)
    run = handovers.handovers
    return [
        run(at, ways, handovers.SHORT, seed=seed, name="handovers, Lease of 6 s", lanes=2),
        run(at, ["killed"] * shipped, handovers.SHIPPED, seed=seed, name="leader killed, Lease as shipped (15 s)"),
        run(at, ["terminated"] * shipped, handovers.SHIPPED, seed=seed, name="SIGTERM, Lease as shipped (15 s)"),
    ]


def every_clock(at: Site) -> list[Entry]:
    """Jumps of an hour, to and fro, at each moment; nothing where libfaketime is missing."""
    faketime = clocks.library()
    if faketime is None:
        tell("no libfaketime on this machine (Debian: apt install faketime): clock jumps are skipped")
        return []
    points = [(moment, seconds) for moment in clocks.MOMENTS for seconds in (clocks.HOUR, -clocks.HOUR)]
    return [
        sweep("clock jumps of an hour", points, lambda point: clocks.jump(at, faketime, *point), lanes=2, tell=tell)
    ]


def everything_by_hand(at: Site) -> list[Entry]:
    """Pods deleted at each stage of their life, and a node that is gone."""
    entry = sweep("pods deleted by hand", byhand.STAGES, lambda stage: byhand.deleted(at, stage), tell=tell)
    return [entry, sweep("node gone", ["once"], lambda _: byhand.node_gone(at), tell=tell)]


@click.command(help="Run the long tests on a real API server: all of them, or those named.")
@click.argument("names", nargs=-1)
@click.option(
    "--report", "path", type=click.Path(path_type=Path), default=Path(".faults/report.json"), show_default=True
)
@click.option("--keep", type=click.Path(path_type=Path), help="Keep logs and the histories of bad runs here.")
@click.option("--lanes", default=LANES, show_default=True, help="Runs at once.")
@click.option("--seed", default=8, show_default=True, help="For all that is drawn.")
@click.option("--sample", default=SAMPLE, show_default=True, help="Write faults, and watch faults.")
@click.option("--handovers", "takeovers", default=200, show_default=True)
@click.option("--shipped", default=12, show_default=True, help="Handovers with the Lease as shipped, of each sort.")
@click.option("--server-kills", default=50, show_default=True)
@click.option("--rest-seconds", default=60.0, show_default=True)
@click.option("--scenario", help="Only the kills of this scenario.")
def main(
    names: tuple[str, ...],
    path: Path,
    keep: Path | None,
    lanes: int,
    seed: int,
    sample: int,
    takeovers: int,
    shipped: int,
    server_kills: int,
    rest_seconds: float,
    scenario: str | None,
) -> None:
    """Exit code 1 when a promise was broken."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    runs: dict[str, Run] = {
        "kills": lambda at: every_kill(at, lanes, scenario),
        "writes": lambda at: some_writes(at, lanes, sample, seed),
        "watches": lambda at: some_watches(at, lanes, sample, seed),
        "handovers": lambda at: every_handover(at, takeovers, shipped, seed),
        "clocks": every_clock,
        "byhand": everything_by_hand,
        "rest": lambda at: [idle.at_rest(at, 1000, rest_seconds)],
        "servers": lambda at: [servers.kills(at, server_kills, seed=seed)],
    }
    unknown = set(names) - runs.keys()
    if unknown:
        raise click.BadParameter(f"{', '.join(sorted(unknown))}: there are {', '.join(runs)}")
    bad = False
    for name, run in runs.items():
        if names and name not in names:
            continue
        with site(keep) as at:
            entries = run(at)
        report.write(path, entries)
        for entry in entries:
            tell(entry.line() + (f" {entry.numbers}" if entry.numbers else ""))
            bad = bad or bool(entry.violations)
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
