"""What the API server warns of beside its answers: told in the log, each text once.

With every write of a field that its CRD does not know, the API server drops the field and sends a header,
`Warning: 299 - "unknown field ..."`. So an operator whose CRDs are older than itself learns of it, and says it.
"""

import logging
import re

MOST = 100  # different texts; beyond them nothing is told, for a log that grows with objects helps nobody
OLDER = "; the CRDs in the cluster are older than this program: apply those of its version"

log = logging.getLogger(__name__)
_FORM = re.compile(r'\d{3} \S+ "((?:[^"\\]|\\.)*)"')
_told: set[str] = set()


def notice(header: str) -> None:
    """Tell the texts of a header `Warning` that were not told yet."""
    for escaped in _FORM.findall(header):
        text = re.sub(r"\\(.)", r"\1", escaped)
        if text not in _told and len(_told) < MOST:
            _told.add(text)
            log.warning("the API server warns: %s%s", text, OLDER if text.startswith("unknown field") else "")
