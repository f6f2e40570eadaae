"""Claims: a worker asks a queue for something to do, and waits a while if there is nothing.

Rule: an answer with a job is given after the claim has been written. Of two that claim the same job one is written, the
other goes on looking. A request that names itself (Idempotency-Key) is given the same job again, so that a lost answer
does not cost the attempt.
"""

import asyncio
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import msgspec
from pydantic import Field

from task_pipeline.api.common import Model
from task_pipeline.api.pipelinejob import MAX_CLAIM_ID, MAX_WORKER_NAME
from task_pipeline.core.deadlines import after
from task_pipeline.core.records import JobRecord
from task_pipeline.core.remote import Denied, Step, claim, claim_of
from task_pipeline.server.answers import Answer
from task_pipeline.server.auth.callers import EVERY_NAMESPACE, AttemptClaim, CallerKind, Verb
from task_pipeline.server.auth.tokens import Tokens
from task_pipeline.server.board import EVERY_CLIENT, Place, TooManyWaiting
from task_pipeline.server.call import Call, Reply
from task_pipeline.server.ledger import Ledger, Name
from task_pipeline.server.problem import problem
from task_pipeline.server.routes import API, Access, Route
from task_pipeline.server.secret_headers import SecretHeaders, secret_headers

MAX_WAIT = 30
KEY_HEADER = "Idempotency-Key"
_AGAIN_SECONDS = 5


class ClaimRequest(Model):
    """What a worker says of itself."""

    worker: Annotated[str, Field(min_length=1, max_length=MAX_WORKER_NAME, pattern=r"^[ -~]+$")] = Field(
        description="Name of the worker, for people: it stands in the job's status. Printable ASCII."
    )
    wait_seconds: Annotated[int, Field(ge=0, le=MAX_WAIT)] = Field(
        default=0, description="How long to wait for a job when there is none."
    )
    only_repeat: bool = Field(
        default=False,
        description="true: give only the job that an earlier request with this Idempotency-Key was given. For a "
        "worker that has given up waiting and wants to be sure.",
    )


class ClaimedJob(Answer):
    """What identifies the work."""

    namespace: str
    pipeline: str = Field(description="Name of the Pipeline.")
    job: str = Field(description="Name of the job in its Pipeline.")
    name: str = Field(description="Name of the PipelineJob.")
    uid: str = Field(description="UID of the PipelineJob; with the attempt it identifies this work for ever.")
    stage: str
    run: int
    client_id: str
    kind: str
    version: str
    attempt: int = Field(description="Number of the attempt, from 1.")


class Claimed(Answer):
    """A job, and what is needed to do it."""

    job: ClaimedJob
    params: dict[str, Any] = Field(description="The job's params; those of a Worker job have the payload.")
    token: str = Field(description="Bearer token for the attempt's paths; it opens nothing else.")
    path: str = Field(description="Path of the attempt; heartbeat, progress and result are below it.")
    lease_until: str = Field(description="Until when the job is held without a sign of life.")
    next_interval_seconds: float = Field(description="When the first heartbeat is due.")
    timeout_seconds: float = Field(description="How long from now until the job's timeout stops the attempt.")
    secret_headers: dict[str, str] | None = Field(
        default=None, description="For the HTTP runner only: values of headers that the params take from Secrets."
    )
    secret_fault: str | None = Field(
        default=None, description="For the HTTP runner only: why there are none; the attempt has to fail with this."
    )


class Workers:
    """The route on which workers claim."""

    def __init__(self, ledger: Ledger, tokens: Tokens) -> None:
        self._ledger = ledger
        self._board = ledger.board
        self._tokens = tokens
        self._busy: set[str] = set()  # UIDs of jobs that are being given: others need not try

    def routes(self) -> tuple[Route, ...]:
        """The route, for the table."""
        return (
            Route(
                "POST",
                f"{API}/workers/{{queue}}:claim",
                self.claim,
                Access.CALLER,
                "Claim the next job of a queue",
                body=ClaimRequest,
                answers={200: Claimed, 204: None},
                headers={KEY_HEADER: "Names the request: repeated with the same key, it is given the same job."},
                timeout=MAX_WAIT + 15.0,
                stream=True,
                description="Waits up to waitSeconds for a job; 204 when there is none. Ask again at once after a 204 "
                "that took as long as was asked for, otherwise after a moment.",
            ),
        )

    async def claim(self, call: Call) -> Reply:
        """Give the caller the first job of its queue that it can have, now or within the time it wants to wait."""
        place, allows = await _place_of(call)
        key = _key_of(call)
        clock = asyncio.get_running_loop().time
        deadline = clock() + call.body.wait_seconds
        try:
            while True:
                reply = None if _has_left(call) else await self._try(call, place, allows, key)
                left = deadline - clock()
                if reply is not None or left <= 0 or call.body.only_repeat or self._board.closed or _has_left(call):
                    return reply or Reply(204)
                await self._board.wait(place, allows, left)
        except TooManyWaiting:
            text = "too many requests are waiting for jobs: ask again, or wait with fewer workers"
            raise problem(429, "TooManyWaiting", text, retry_after=_AGAIN_SECONDS) from None
        finally:
            self._board.pass_on(place, call.services.now())

    async def _try(self, call: Call, place: Place, allows: Callable[[str], bool], key: str) -> Reply | None:
        now, worker = call.services.now(), call.body.worker
        held = self._board.claimed(place.client, worker, key)
        fresh = () if call.body.only_repeat else self._board.offers(place, allows, now)
        offers = fresh if held is None else (held,)
        for job in offers:
            if job.uid in self._busy:
                continue
            self._busy.add(job.uid)
            try:
                taken = await self._ledger.step(_name(job), _claiming(call, key, now), sure=False)
            finally:
                self._busy.discard(job.uid)
            if taken is not None and isinstance(taken.answer, Step):
                return await self._reply(call, taken.job)
        return None

    async def _reply(self, call: Call, job: JobRecord) -> Reply:
        held, spec = claim_of(job.status), job.spec
        assert held is not None
        secret = SecretHeaders()
        if call.caller.kind is CallerKind.RUNNER:
            services = call.services
            secret = await secret_headers(services.cluster, job, services.settings.operator_namespace)
        token = await self._tokens.for_attempt(AttemptClaim(job.namespace, job.name, job.uid, held.attempt))
        answer = Claimed(
            job=ClaimedJob(
                namespace=job.namespace,
                pipeline=spec.pipeline,
                job=spec.name,
                name=job.name,
                uid=job.uid,
                stage=spec.stage,
                run=spec.run,
                client_id=spec.client_id,
                kind=spec.kind,
                version=spec.version,
                attempt=held.attempt,
            ),
            params=msgspec.json.decode(spec.params),
            token=token,
            path=f"{API}/attempts/{job.uid}/{held.attempt}",
            lease_until=held.lease_until,
            next_interval_seconds=call.services.settings.lease.pace,
            timeout_seconds=_left(job, call.services.settings.timeout, call.services.now()),
            secret_headers=dict(secret.values),
            secret_fault=secret.fault,
        )
        absent = {"secret_headers", "secret_fault"} if call.caller.kind is not CallerKind.RUNNER else set()
        return Reply(200, answer.model_dump(by_alias=True, exclude=absent))


def _has_left(call: Call) -> bool:
    """Whether the worker has closed the connection: nobody would do what it is given."""
    transport = call.request.transport
    return transport is None or transport.is_closing()


def _claiming(call: Call, key: str, now: datetime) -> Callable[[JobRecord], Step | Denied]:
    worker, lease = call.body.worker, call.services.settings.lease
    return lambda job: claim(job, worker, key, lease, now)


def _left(job: JobRecord, default: float, now: datetime) -> float:
    """Seconds until the attempt runs into its timeout; `default` is that of jobs that name none."""
    end = after(job.status.start_time, job.spec.timeout or default)
    return default if end is None else max(0.0, round((end - now).total_seconds(), 3))


def _name(job: JobRecord) -> Name:
    return Name(job.namespace, job.name, job.uid)


async def _place_of(call: Call) -> tuple[Place, Callable[[str], bool]]:
    """Where the caller looks, and of which namespaces. Raises ProblemError 403."""
    caller = call.caller
    if caller.kind is CallerKind.CLIENT and caller.client is not None:
        return Place(call.path["queue"], caller.client), caller.reaches
    await call.services.authorizer.authorize(caller, Verb.CLAIM, EVERY_NAMESPACE)
    return Place(call.path["queue"], EVERY_CLIENT), lambda namespace: True


def _key_of(call: Call) -> str:
    """The name of the request; one is made up so that our own repetitions are one request. Raises ProblemError 400."""
    key = call.headers.get(KEY_HEADER)
    if key is None:
        return secrets.token_hex(16)
    if not 0 < len(key) <= MAX_CLAIM_ID or not key.isascii() or not key.isprintable():
        text = f"has to be 1 to {MAX_CLAIM_ID} printable ASCII characters"
        raise problem(400, "InvalidHeader", f"{KEY_HEADER} {text}", [(f"headers.{KEY_HEADER}", text)])
    return key
