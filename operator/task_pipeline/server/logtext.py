"""From the bytes of a log to text that any client can take.

Rule: what comes out is valid UTF-8 without NUL, whatever a program printed; colours and carriage returns stay. Of a log
that is too long the newest part is kept, from a whole character on.
"""

import codecs
from collections import deque
from collections.abc import AsyncIterator

REPLACEMENT = "\ufffd"


class LogText:
    """Decodes one log, piece by piece; what is no UTF-8 becomes a replacement character."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, piece: bytes, *, last: bool = False) -> bytes:
        """The text of `piece`, as UTF-8; a character that is not complete yet comes with a later piece."""
        return self._decoder.decode(piece, last).replace("\0", REPLACEMENT).encode()


async def newest(pieces: AsyncIterator[bytes], most: int) -> tuple[bytes, bool]:
    """The last `most` bytes of the text of a whole log, and whether something before them was left out.

    No more than that and one piece is held at a time.
    """
    text, kept, size, cut = LogText(), deque[bytes](), 0, False
    async for piece in pieces:
        kept.append(text.feed(piece))
        size += len(kept[-1])
        while len(kept) > 1 and size - len(kept[0]) >= most:
            size -= len(kept.popleft())
            cut = True
    kept.append(text.feed(b"", last=True))
    whole = b"".join(kept)
    if len(whole) <= most:
        return whole, cut
    return whole[-most:].decode(errors="ignore").encode(), True
