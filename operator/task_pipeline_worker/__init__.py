"""A worker for task-pipeline: claims jobs of the kind Worker over REST, does them, and reports.

Needs aiohttp and nothing else of task-pipeline; docs/workers.md has the protocol for other languages.
"""

from task_pipeline_worker.api import Refused
from task_pipeline_worker.attempt import Failure, Handler, Job
from task_pipeline_worker.worker import Options, Worker

__all__ = ["Failure", "Handler", "Job", "Options", "Refused", "Worker"]
