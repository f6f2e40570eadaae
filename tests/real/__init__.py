"""The whole operator, as a process, against a real API server."""
