"""A Markdown page's tables from results: medians of the blocks, with the smallest and the largest in brackets."""

import json
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Document = dict[str, Any]
Blocks = Sequence[dict[str, Any]]

# workload: (heading, (path in a block, digits)...)
_CPU = (
    ("CPU-s per 1,000 jobs: contender", "cpu_per_1000_jobs.@", 2),
    ("whole cluster", "cpu_per_1000_jobs.cluster", 1),
    ("peak RSS MiB", "usage.peak_megabytes.@", 0),
)
_AT_ONCE = (
    ("jobs/s", "figures.jobs_per_second", 1),
    ("makespan s", "figures.makespan_seconds", 1),
    ("jobs/s, middle 80 %", "figures.steady_jobs_per_second", 1),
)
_BACKLOG = (
    ("launches/s", "figures.launches_per_second", 1),
    ("pod ended to next pod ms: p50", "figures.pod_end_to_create_ms.p50", 1),
    ("p99", "figures.pod_end_to_create_ms.p99", 1),
    ("end written to next create ms: p50", "figures.end_written_to_create_ms.p50", 1),
    ("p99", "figures.end_written_to_create_ms.p99", 1),
    ("slots used", "figures.slots_used", 3),
    ("most at once", "figures.most_at_once", 0),
    ("inversions", "figures.inversions", 0),
    ("urgent waits ms: p50", "figures.urgent_wait_ms.p50", 0),
    ("writes per job", "figures.requests.writes_per_job", 2),
)
COLUMNS: dict[str, tuple[tuple[str, str, int], ...]] = {
    "W1": (
        ("overhead ms: p50", "figures.overhead_ms.p50", 1),
        ("p99", "figures.overhead_ms.p99", 1),
        ("in all ms: p50", "figures.total_ms.p50", 1),
        ("pod ended to done ms: p50", "figures.pod_end_to_done_ms.p50", 1),
        *_CPU,
    ),
    "W2": (*_AT_ONCE, ("hand-off ms: p50", "figures.hand_off_ms.p50", 0), ("p99", "figures.hand_off_ms.p99", 0), *_CPU),
    "W3": (*_AT_ONCE, *_CPU),
    "W4": _BACKLOG,
    "W4-1s": _BACKLOG,
    "W5": (
        ("start to first launch s", "figures.start_to_first_launch_seconds", 2),
        ("duplicates", "figures.duplicates", 0),
        ("lost", "figures.lost", 0),
        ("most at once", "figures.most_at_once", 0),
        ("slots", "figures.slots", 0),
    ),
    "W6": (
        ("writes/min", "figures.writes_per_minute", 1),
        ("RSS MiB", "figures.megabytes", 0),
        ("mcore", "figures.millicores", 1),
        ("API server and etcd mcore", "figures.api_server_and_etcd_millicores", 0),
        ("start s", "figures.start_seconds", 1),
    ),
}
COUNTED = (
    ("writes per job: contender", "figures.writes_per_job", 2),
    ("failed", "figures.failed_writes_per_job", 2),
    ("reads", "figures.reads_per_job", 2),
    ("whole cluster", "figures.cluster_writes_per_job", 2),
)
TITLES = {
    "W1": "one job at a time",
    "W2": "pieces of 4 stages with 5 jobs, all at once",
    "W3": "one stage",
    "W4": "a backlog for 50 slots, jobs of 8 s",
    "W4-1s": "a backlog for 50 slots, jobs of 1 s",
    "W5": "killed and started with live jobs",
    "W6": "at rest with finished Pipelines",
}
_BOUNDS = {"ours-shell": "raw-pods", "ours-k8s-job": "raw-jobs"}


def markdown(documents: Sequence[Document]) -> str:
    """All tables of all results together."""
    blocks = [block for document in documents for block in document["blocks"]]
    parts = ["\n".join(_environment(document)) for document in documents]
    parts.append("\n".join(_contenders(blocks)))
    for workload in COLUMNS:
        timed = [block for block in blocks if block["workload"] == workload and not block["counting"]]
        for size in sorted({block["size"] for block in timed}):
            chosen = [block for block in timed if block["size"] == size]
            parts.append(f"### {workload}: {TITLES[workload]} ({size:,})\n\n{_table(chosen, COLUMNS[workload])}")
            if workload in ("W2", "W3"):
                parts.append("\n".join(_ratios(chosen)))
    counted = [block for block in blocks if block["counting"]]
    if counted:
        parts.append(f"### Requests per job, in counting runs of W2\n\n{_table(counted, COUNTED)}")
    parts.append(_calibration(blocks))
    return "\n\n".join(part for part in parts if part) + "\n"


def _environment(document: Document) -> list[str]:
    where, flags = document["environment"], document["flags"]
    changed = f" with changes in {len(where['changed_since'])} files" if where["changed_since"] else ""
    load = ", ".join(f"{value:.2f}" for value in where["load_average"])
    libraries = ", ".join(f"{name} {version}" for name, version in where["libraries"].items())
    return [
        f"- {where['date']}, commit {where['commit'][:12]}{changed}; load average at the start {load}",
        f"- {where['processors']} x {where['processor']}, {where['memory_gib']} GiB, Linux {where['kernel']}; "
        f"Kubernetes {where['kubernetes']}, Python {where['python']}, {libraries}",
        f"- {where['cluster']}",
        f"- flags: {', '.join(f'{name} {value}' for name, value in flags.items())}",
        *(f"- {line}" for line in document["skipped"]),
        *(f"- {_title(block)} failed: {block['error'].partition(':')[0]}" for block in document["failed"]),
    ]


def _contenders(blocks: Blocks) -> Iterable[str]:
    """How each contender was set, and where."""
    where: dict[tuple[str, str], list[str]] = {}
    for block in blocks:
        settings = json.dumps(block["contender_is"]).replace('"', "")
        workloads = where.setdefault((block["contender"], settings), [])
        workloads += [] if block["workload"] in workloads else [block["workload"]]
    for (name, settings), workloads in where.items():
        yield f"- {name} in {', '.join(workloads)}: {settings}"


def _table(blocks: Blocks, columns: Iterable[tuple[str, str, int]]) -> str:
    by_contender = defaultdict(list)
    for block in blocks:
        by_contender[block["contender"]].append(block)
    heads = ["contender", "runs", *(head for head, _, _ in columns), "marked"]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for name, own in by_contender.items():
        cells = [_cell([value(block, path) for block in own], digits) for _, path, digits in columns]
        marked = sum(bool(block["marks"]) for block in own)
        lines.append(f"| {' | '.join([name, str(len(own)), *cells, str(marked)])} |")
    return "\n".join(lines)


def value(block: dict[str, Any], path: str) -> float | None:
    """What stands in a block under a path with dots, `@` being its contender; None if nothing does."""
    found: Any = block
    for key in path.split("."):
        found = found.get(block["contender"] if key == "@" else key) if isinstance(found, dict) else None
    return found if isinstance(found, int | float) else None


def _cell(values: Iterable[float | None], digits: int) -> str:
    known = [one for one in values if one is not None]
    if not known:
        return "-"
    text: Callable[[float], str] = lambda one: f"{one:,.{digits}f}"  # noqa: E731
    middle = text(statistics.median(known))
    return middle if len(known) == 1 else f"{middle} ({text(min(known))}-{text(max(known))})"


def _ratios(blocks: Blocks) -> Iterable[str]:
    """Ours beside the bound in the same round."""
    rates = {(block["contender"], block["round"]): value(block, "figures.jobs_per_second") for block in blocks}
    for ours, bound in _BOUNDS.items():
        pairs = [(rate, rates.get((bound, number))) for (name, number), rate in rates.items() if name == ours]
        ratios = [rate / other for rate, other in pairs if rate and other]
        if ratios:
            yield f"{ours} / {bound}, round by round: {_cell(ratios, 2)}.  "


def _calibration(blocks: Blocks) -> str:
    rows = []
    for name, head, digits in (
        ("config_map_posts", "ConfigMap POST/s", 0),
        ("status_patches", "2 KB status PATCH/s", 0),
        ("probe_ms", "interpreter probe ms", 1),
    ):
        cells = [
            _cell([block["calibration"][when][name] for block in blocks if not block["audited"]], digits)
            for when in ("before", "after")
        ]
        rows.append(f"| {head} | {' | '.join(cells)} |")
    marks = [f"- {_title(block)}: {'; '.join(block['marks'])}" for block in blocks if block["marks"]]
    head = "### C0\n\n| | before the blocks | after them |\n|---|---|---|\n"
    return head + "\n".join(rows) + ("\n\nMarked blocks:\n\n" + "\n".join(marks) if marks else "")


def _title(block: dict[str, Any]) -> str:
    return f"{block['workload']} {block['contender']} round {block['round'] + 1}" + (
        " (counting)" if block["counting"] else ""
    )
