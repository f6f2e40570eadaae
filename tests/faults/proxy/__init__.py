"""A scripted proxy between one operator and the API server: rules pick requests, faults say what becomes of them."""

from tests.faults.proxy.calls import Call, on
from tests.faults.proxy.faults import Delay, Drop, Late, Lose, Refuse, Stale, Twice
from tests.faults.proxy.rules import Rule, Stop
from tests.faults.proxy.server import FaultProxy
from tests.faults.proxy.streams import Altered, Broken, Lag, Silent

__all__ = [
    "Altered",
    "Broken",
    "Call",
    "Delay",
    "Drop",
    "FaultProxy",
    "Lag",
    "Late",
    "Lose",
    "Refuse",
    "Rule",
    "Silent",
    "Stale",
    "Stop",
    "Twice",
    "on",
]
