"""`python -m tests.server.fuzz`: requests that schemathesis makes up from the served document, in all its phases.

Rule: every answer is held against the document: no status, content type, header or body that it does not name, no 5xx,
nothing wrong accepted, nothing right refused as wrong. Callers take turns, the names in paths mostly exist.
"""

import logging
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.engine import events, from_schema
from schemathesis.hooks import GLOBAL_HOOK_DISPATCHER, HookContext

from tests.server.fuzz_world import FuzzWorld, fuzz_world
from tests.server.whole import JOB, QUEUE

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "unsupported_method",
    "allow_header_conformance",
)
# What a schema cannot say: a version or a place in a list that is no more, an attempt that is over; and of some
# requests, whether their parts fit each other.
ACCEPTANCE = ("2xx", "3xx", "401", "403", "404", "409", "410", "412", "429")
MORE_ACCEPTANCE = {
    "/oauth2/token": ("400",),
    "/api/v1/watch": ("400",),
    "/api/v1/namespaces/-/pipelines": ("400",),
    "/api/v1/namespaces/{namespace}/pipelines": ("400", "422"),
    "/api/v1/namespaces/{namespace}/pipelines/{name}/jobs": ("400",),
}
CALLERS = {"acme": 60, "admin": 15, "rival": 6, "stranger": 4, "runner": 4, "attempt": 4, "garbage": 3, "none": 4}
KNOWN = 0.8  # share of parts of paths that are set to something that exists


@dataclass
class Outcome:
    """What came of it. `failures` are texts, each with how to send the request again."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def server_errors(self) -> int:
        """How many answers were 5xx."""
        return sum(count for status, count in self.statuses.items() if status >= 500)


class Senders:
    """Chooses who sends a request and what its path names. The choices follow from `seed`."""

    def __init__(self, world: FuzzWorld, outcome: Outcome, seed: int) -> None:
        self._world = world
        self._outcome = outcome
        self._random = random.Random(seed)
        self._known = {"namespace": ("team-a", "team-a", "team-b", "team-c"), "name": tuple(world.names), "job": (JOB,),
                       "id": ("acme", "rival", "absent"), "queue": (QUEUE, "http")}  # fmt: skip

    def before_call(self, context: HookContext, case: Any, kwargs: Any) -> None:
        """Set the parts of the path and the Authorization header; let nobody wait for long."""
        kwargs.setdefault("timeout", 20)
        self._place(case)
        if isinstance(case.body, dict):
            case.body = _whole(case.body)
            if isinstance(case.body.get("spec"), dict) and self._random.random() < KNOWN:
                _fit(case.body["spec"], case.path.endswith("/pipelines") and not _wrong(case, "BODY"))
            if case.body.get("waitSeconds") in range(1, 31):
                case.body["waitSeconds"] = 0
        authorization = self._authorization(case)
        for name in [name for name in case.headers if name.lower() == "authorization"]:
            del case.headers[name]
        if authorization is not None:
            case.headers["Authorization"] = authorization

    def after_call(self, context: HookContext, case: Any, response: Any) -> None:
        """Count."""
        self._outcome.requests += 1
        self._outcome.statuses[response.status_code] += 1
        self._outcome.operations[f"{case.method} {case.path} {response.status_code}"] += 1

    def _place(self, case: Any) -> None:
        """Where the path was right by chance, it mostly is right by choice after this."""
        parts = case.path_parameters
        if not parts or self._random.random() > KNOWN or _wrong(case, "PATH"):
            return
        chosen = {name: self._random.choice(self._known[name]) for name in parts if name in self._known}
        case.path_parameters.update(chosen)

    def _authorization(self, case: Any) -> str | None:
        """Somebody's header; on the paths of an attempt mostly its own, with the path that goes with it."""
        world = self._world
        if "/attempts/" in case.path and self._random.random() < KNOWN:
            attempt = self._random.choice(world.attempts)
            if not _wrong(case, "PATH"):
                case.path_parameters.update({"uid": attempt.uid, "n": attempt.n})
            return attempt.authorization
        name = self._random.choices(tuple(CALLERS), tuple(CALLERS.values()))[0]
        others = {"none": None, "garbage": "Bearer x.y.z", "attempt": world.attempts[-1].authorization}
        return others[name] if name in others else world.callers[name]


def _wrong(case: Any, location: str) -> bool:
    """Whether this part of the request is meant to be wrong."""
    return case.meta is not None and bool(case.meta.is_negative_at(ParameterLocation[location]))


def _fit(spec: dict[str, Any], right: bool) -> None:
    """Let a Pipeline be of the client that mostly asks; one that is right by the schema gets jobs of a known kind."""
    if isinstance(spec.get("clientId"), str):
        spec["clientId"] = "acme"
    if right:
        job = {"kind": "Shell", "version": "1.0.0", "params": {"image": "busybox", "script": "true"}}
        spec["jobs"] = [job | {"name": f"j{number}", "stage": stage} for number, stage in enumerate(spec["stages"])]


def _whole(value: Any) -> Any:
    """`value` with whole numbers written as such: 84.0 is an integer for JSON Schema, and for us a mistake."""
    match value:
        case dict():
            return {name: _whole(inner) for name, inner in value.items()}
        case list():
            return [_whole(inner) for inner in value]
        case float() if value.is_integer() and abs(value) < 2**53:
            return int(value)
        case _:
            return value


def run(world: FuzzWorld, outcome: Outcome, seed: int, examples: int) -> None:
    """All phases once, with so many examples per operation; adds to `outcome`."""
    config = SchemathesisConfig.from_dict(
        {
            "operations": [
                {"include-path": path, "checks": _accepting(*statuses)} for path, statuses in MORE_ACCEPTANCE.items()
            ],
            "seed": seed,
            "continue-on-failure": True,
            "suppress-health-check": ["all"],
            "request-timeout": 20,
            "generation": {"max-examples": examples, "deterministic": True, "no-shrink": True, "database": "none"},
            "phases": {"examples": {"fill-missing": True}, "stateful": {"generation": {"max-examples": examples}}},
            "checks": {
                "enabled": False,
                **{name: {"enabled": True} for name in CHECKS},
                **_accepting(),
            },
        }
    )
    schema = schemathesis.openapi.from_url(f"{world.url}/openapi.json", config=config)
    senders = Senders(world, outcome, seed)
    began = time.monotonic()
    with _hooks(senders):
        for event in from_schema(schema).execute():
            _note(event, outcome)
    outcome.seconds += time.monotonic() - began


def _accepting(*more: str) -> dict[str, Any]:
    return {"positive_data_acceptance": {"enabled": True, "expected-statuses": [*ACCEPTANCE, *more]}}


def _note(event: Any, outcome: Outcome) -> None:
    match event:
        case events.ScenarioFinished():
            outcome.phases[event.phase.value] += len(event.recorder.interactions)
            for case_id, checks in event.recorder.checks.items():
                for check in checks:
                    if check.failure_info is not None:
                        _note_failure(event.recorder, case_id, check, outcome)
        case events.NonFatalError():
            outcome.errors.append(f"{event.label}: {event.value}")
        case events.FatalError():
            outcome.errors.append(str(event.exception))


def _note_failure(recorder: Any, case_id: str, check: Any, outcome: Outcome) -> None:
    """The first failure of its sort on each route, with the answer and how to send the request again."""
    failure, case = check.failure_info.failure, recorder.cases[case_id].value
    answer = recorder.find_response(case_id=case_id)
    said = "" if answer is None else answer.content[:2000].decode(errors="replace")
    key = f"{check.name}: {case.method} {case.path}: {failure.title}"
    outcome.failures.setdefault(key, f"{failure.message}\n{said}\n{check.failure_info.code_sample}")


@contextmanager
def _hooks(senders: Senders) -> Iterator[None]:
    """schemathesis knows hooks of calls for the whole process only."""
    known = {"before_call": senders.before_call, "after_call": senders.after_call}
    for name, hook in known.items():
        GLOBAL_HOOK_DISPATCHER.register_hook_with_name(hook, name)
    try:
        yield
    finally:
        GLOBAL_HOOK_DISPATCHER.unregister_all()


@click.command(help="Send made-up requests to the whole server in memory, until so many have been answered.")
@click.option("--requests", default=100_000, show_default=True, help="At least so many.")
@click.option("--examples", default=60, show_default=True, help="Per operation and round.")
@click.option("--seed", default=1, show_default=True, help="Of the first round; the next ones count on.")
def main(requests: int, examples: int, seed: int) -> None:
    """Prints counts; exit code 1 when an answer was wrong."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.getLogger("task_pipeline.audit").setLevel(logging.ERROR)
    outcome = Outcome()
    with fuzz_world() as world:
        while outcome.requests < requests:
            run(world, outcome, seed, examples)
            seed += 1
            click.echo(f"{outcome.requests} requests in {outcome.seconds:.0f} s, {len(outcome.failures)} failures")
    click.echo(report(outcome))
    sys.exit(1 if outcome.failures or outcome.errors or outcome.server_errors else 0)


def report(outcome: Outcome) -> str:
    """The counts and every failure."""
    lines = [f"phases: {dict(outcome.phases)}", f"statuses: {dict(sorted(outcome.statuses.items()))}"]
    lines += [f"\n{title}\n{text}" for title, text in outcome.failures.items()]
    return "\n".join([*lines, *(f"error: {text}" for text in outcome.errors)])


if __name__ == "__main__":
    main()
