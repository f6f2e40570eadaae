"""The fixtures of the HTTP runner's tests."""

from tests.runner.internet import internet

__all__ = ["internet"]
