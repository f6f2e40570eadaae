"""Words for what a container left behind: exit codes with their signals, and the last lines of its output.

Rule: what comes out is printable, has no terminal codes, and is bounded; the newest part is kept.
"""

import re
from collections.abc import Mapping

MAX_MESSAGE = 1000
MAX_HEAD = 300

SIGNALS: Mapping[int, str] = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    5: "SIGTRAP",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    10: "SIGUSR1",
    11: "SIGSEGV",
    12: "SIGUSR2",
    13: "SIGPIPE",
    14: "SIGALRM",
    15: "SIGTERM",
    24: "SIGXCPU",
    25: "SIGXFSZ",
    31: "SIGSYS",
}

_TERMINAL_CODE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-_])")


def exit_text(code: int) -> str:
    """`exit code 3`, or `exit code 137 (SIGKILL)` where the code stands for a signal."""
    signal = SIGNALS.get(code - 128)
    return f"exit code {code}" if signal is None else f"exit code {code} ({signal})"


def tail(text: str, room: int = MAX_MESSAGE) -> str:
    """The last lines of `text` in at most `room` characters, as a terminal would have shown them at the end.

    Of a line that was overwritten by carriage returns the last version stays; terminal codes, other control
    characters and empty lines go. What was cut is marked by `...` at the front.
    """
    lines = (_shown(line) for line in _TERMINAL_CODE.sub("", text).split("\n"))
    joined = "\n".join(line for line in lines if line)
    if len(joined) <= room:
        return joined
    kept = joined[len(joined) - room + 3 :]
    _, newline, whole = kept.partition("\n")
    return "..." + (whole if newline and whole else kept)


def _shown(line: str) -> str:
    last = line.rstrip("\r").rpartition("\r")[2]
    return "".join(char for char in last if char.isprintable() or char == "\t").rstrip()


def join(head: str, text: str) -> str:
    """`head: text`, bounded as a whole; only `head` when there is nothing to add."""
    head = tail(head, MAX_HEAD)
    rest = tail(text, MAX_MESSAGE - len(head) - 2)
    return f"{head}: {rest}" if rest else head
