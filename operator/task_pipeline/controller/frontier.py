"""How far the creation of a stage's PipelineJobs has come, in the order in which they are to run.

Creates are sent many at a time, and their answers and watch events come in any order. A job may start only once every
job of its stage that ranks before it exists; otherwise the one that was created first would take the free slot.
"""

from typing import Any

from task_pipeline.api.group import LABEL_JOB_HASH


class Frontier:
    """The jobs of one stage up to the first that does not exist yet."""

    def __init__(self, drafts: list[dict[str, Any]]) -> None:
        self.drafts = sorted(drafts, key=lambda draft: (draft["spec"]["priority"], draft["spec"]["index"]))
        """The drafts in the order in which their jobs run."""
        self._order = [draft["metadata"]["labels"][LABEL_JOB_HASH] for draft in self.drafts]
        self._created: set[str] = set()
        self._passed: set[str] = set()

    def created(self, job_hash: str) -> list[str]:
        """The job of this hash exists; returns the hashes of all jobs that may start from now on."""
        self._created.add(job_hash)
        passed: list[str] = []
        while len(self._passed) < len(self._order) and self._order[len(self._passed)] in self._created:
            passed.append(self._order[len(self._passed)])
            self._passed.add(passed[-1])
        return passed

    def has_passed(self, job_hash: str) -> bool:
        """Whether the job of this hash may start."""
        return job_hash in self._passed
