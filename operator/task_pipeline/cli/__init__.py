"""The command line `tpctl`, which is `kubectl taskpipeline` as well: one file for each verb in `commands/`.

Rule: what a command needs is imported when it runs, so that the first line of output is there within 300 ms; pydantic
is loaded only by what judges specs or computes the order of the queue. Commands speak to a `backend.Backend`, either
the Kubernetes API or the REST API, and write through a `screen.Screen`, which lets no text of a user become control
codes of a terminal.
"""
