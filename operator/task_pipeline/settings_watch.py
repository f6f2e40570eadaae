"""Notices that the settings file has changed, and hands over what may change while the operator runs.

The content is looked at, not events: a file of a ConfigMap is a link that is swapped, an editor may move a new file
into place, and either may be missing for a moment. Rule: only content that two looks have found the same counts, so
that half a file is never taken. A wrong file changes nothing and is told once.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from task_pipeline import settings_file
from task_pipeline.settings import Settings, WrongSettings, take_over
from task_pipeline.settings_file import WrongFile

log = logging.getLogger(__name__)

PAUSE = 0.6  # seconds; a change is to be noticed within one second, and an idle operator is to wake up seldom
AGAIN = 0.35  # until the second look at something new: a file that is being written is not half for so long
ABSENT_LOOKS = 17  # a file that could not be read for ten seconds is not just being replaced


class SettingsWatch:
    """Looks at the file at `path` for as long as it runs.

    `load` reads settings from all sources and raises WrongSettings; `changed` gets the new settings, in the event loop.
    The first look compares the file with `settings`, those in force, so that no change since the start is lost.
    """

    def __init__(
        self, path: Path, settings: Settings, load: Callable[[], Settings], changed: Callable[[Settings], None]
    ) -> None:
        self._path, self._settings = path, settings
        self._load, self._changed = load, changed
        self._seen: bytes | None = None
        self._judged: bytes | None = None
        self._absent = 0
        self._wrong = False
        self._waiting: Mapping[str, Any] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                self._look()
            except Exception:
                log.exception("%s: a fault in the operator; the settings in force stay", self._path)
            await asyncio.sleep(PAUSE if self._seen in (None, self._judged) else AGAIN)

    def _look(self) -> None:
        try:
            content = settings_file.content(self._path)
        except WrongFile as error:
            self._seen = None
            self._absent += 1
            if self._absent == ABSENT_LOOKS:
                log.error("%s; until then the settings in force stay", error)
            return
        self._absent = 0
        steady, self._seen = content == self._seen, content
        if steady and content != self._judged:
            self._judge(content)

    def _judge(self, content: bytes) -> None:
        faults: tuple[str, ...] = ()
        wanted = self._settings
        try:
            wanted = self._load()
        except WrongSettings as error:
            faults = error.faults
        if settings_file.content(self._path) != content:  # it was another file that has been loaded
            return
        self._judged = content
        if faults:
            log.error("wrong settings; until the file is corrected those in force stay: %s", "; ".join(faults))
        elif self._wrong:
            log.info("%s is correct again", self._path)
        self._wrong = bool(faults)
        if not faults:
            self._take(wanted)

    def _take(self, wanted: Settings) -> None:
        settings, waiting = take_over(self._settings, wanted)
        if waiting and waiting != self._waiting:
            log.warning("%s: take effect at the next start of the operator: %s", self._path, ", ".join(waiting))
        self._waiting = waiting
        if settings != self._settings:
            log.info("settings changed: %s", _differences(self._settings, settings))
            self._changed(settings)
            self._settings = settings


def _differences(before: Settings, after: Settings) -> str:
    old = dict(before)
    return ", ".join(f"{name} from {old[name]} to {value}" for name, value in after if old[name] != value)
