"""Messages in a status are bounded, so that one PipelineJob without its params stays below 8 KiB.

Lengths are bytes of JSON, for that is what is stored. What is too long loses its middle: it begins with what happened
and ends with the newest lines of output, and people want both.
"""

from itertools import accumulate, takewhile

STATUS_LENGTH = 1024
CONDITION_LENGTH = 256
ATTEMPT_LENGTH = 512
ATTEMPTS_LENGTH = 1024  # of all attempts together: many attempts have shorter messages each
_GAP = "..."


def shortened(text: str, room: int) -> str:
    """`text` in at most `room` (>= 16) bytes, counted as in a JSON text without its quotes."""
    if sum(map(_cost, text)) <= room:
        return text
    head = _fitting(text, room // 4)
    tail = _fitting(text[::-1], room - room // 4 - len(_GAP))
    return head + _GAP + tail[::-1]


def _fitting(text: str, room: int) -> str:
    """As many of the first characters as fit."""
    fitting = takewhile(lambda used: used <= room, accumulate(map(_cost, text)))
    return text[: len(list(fitting))]


def _cost(char: str) -> int:
    if char in '\n\r\t\b\f"\\':
        return 2
    return 6 if char < " " else len(char.encode())
