"""Texts of strangers, fit to be shown: on one line, without anything that a terminal would obey."""


def escaped(text: str) -> str:
    """`text` with every character that is not printable written as Python would: a line feed as backslash and n."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def shortened(text: str, room: int) -> str:
    """The beginning of `text` in at most `room` characters; what was cut is marked by ... at the end."""
    return text if len(text) <= room else text[: room - 3] + "..."
