"""task-pipeline: pipelines of jobs on Kubernetes."""

__version__ = "0.1.0"
