"""Text of users on its way to a terminal: whatever it holds, it can only be read.

Rule: colour sequences (SGR) are dropped, since nothing is lost with them; every other character that a terminal or a
bidirectional renderer would act on is shown as `\\u001b` and the like, a form that JSON takes, too. The sequences are
those of ECMA-48; the bidirectional controls those of Unicode UAX 9.
"""

import re

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_ACTIVE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_BREAKS = re.compile(r"[\t\n\r]+")


def block(text: str) -> str:
    """`text` of several lines, harmless; newlines and tabs stay."""
    return _ACTIVE.sub(_shown, _COLOUR.sub("", text.replace("\r\n", "\n")))


def line(text: str) -> str:
    """`text` as one line, harmless: each break becomes a blank, but for those at the end."""
    return block(_BREAKS.sub(" ", text)).rstrip()


def printed(text: str) -> str:
    """One line of a log as a terminal would have left it: after a carriage return it was written anew."""
    parts = [part for part in text.rstrip("\r").split("\r") if part]
    return block(parts[-1]) if parts else ""


def _shown(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def cut(text: str, width: int) -> str:
    """`text` in at most `width` characters."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "\N{HORIZONTAL ELLIPSIS}"
