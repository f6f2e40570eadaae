"""The verbs of the command line, one module each; `task_pipeline.cli.program` lists them and loads one at a time."""
