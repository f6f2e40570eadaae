"""The command line as console scripts: `tpctl`, the kubectl plugin of the same program, and its completion."""

from task_pipeline.cli.program import main

__all__ = ["complete", "main"]


def complete() -> None:
    """What kubectl asks for candidates, as `kubectl_complete-taskpipeline`."""
    from task_pipeline.cli import completion  # needs more than help does

    completion.main()


if __name__ == "__main__":
    main()
