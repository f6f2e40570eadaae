"""Judges the recorded history of a run by the checkers that both tiers share."""

import json
import time
from collections.abc import Iterable
from typing import Any

from tests.faults import checkers
from tests.faults.history import Ack, History
from tests.faults.proxy import Call, FaultProxy
from tests.faults.rules import Limits, Rules, Violation

SEEN_AFTER = 3.0  # seconds; two cores run the cluster, the operators and the recorder
PATIENCE = 30.0  # seconds for which a fault, and the next operator's start, may hold a launch back


def rules(running: int | None, queue: int | None, **more: Any) -> Rules:
    """The rules of a run with these limits, and without claims on how soon it comes to rest."""
    fields = {"seen_after": SEEN_AFTER, "patience": PATIENCE, "quiet": 0.0}
    return Rules(limits=(Limits(0.0, running, queue),), **(fields | more))


def broken(history: History, by: Rules) -> list[Violation]:
    """What is wrong in a history."""
    return checkers.check(history, by)


def differences(wanted: Any, found: Any, path: str = "") -> Iterable[Violation]:
    """L5: where the outcome of a run differs from the one that is wanted, one for each place."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for name in sorted(wanted.keys() | found.keys()):
            yield from differences(wanted.get(name), found.get(name), f"{path}/{name}")
    elif wanted != found:
        yield Violation("L5", 0, f"{path}: {json.dumps(found)} instead of {json.dumps(wanted)}")


def acks(proxy: FaultProxy, actor: str) -> list[Ack]:
    """The operator's own writes that were answered with success."""
    since = time.time() - time.monotonic()
    return [_ack(call, actor, since) for call in proxy.writes if call.acked]


def _ack(call: Call, actor: str, since: float) -> Ack:
    plural, name = call.resource.split("/")[0], f"{call.namespace or ''}/{call.name or ''}"
    return Ack(actor, call.verb, plural, name, call.acked, since + call.moment, since + call.answered)
