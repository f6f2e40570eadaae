"""Whether traces are sent, by the standard variables of OpenTelemetry. Without them nothing of it is even imported."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from task_pipeline.observability.trace_queue import Sender

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")  # the first that is set counts
DISABLED = "OTEL_SDK_DISABLED"
EXPORTER = "OTEL_TRACES_EXPORTER"  # the standard's way to turn off traces alone
EXTRA = "task-pipeline[otel]"


class WrongTraces(Exception):
    """Traces are turned on, and cannot be sent; the text says what to do about it."""


def trace_sender(environment: Mapping[str, str]) -> Sender | None:
    """What sends traces, None when they are off. Raises WrongTraces.

    `environment` decides whether; where to and how the library reads from the process' own.
    """
    variable = next((name for name in ENDPOINTS if environment.get(name)), None)
    off = environment.get(DISABLED, "").lower() == "true" or environment.get(EXPORTER, "").lower() == "none"
    if variable is None or off:
        return None
    if not environment[variable].startswith(("http://", "https://")):
        raise WrongTraces(f"{variable}: must begin with http:// or https://")
    if not urlsplit(environment[variable]).hostname:
        raise WrongTraces(f"{variable}: names no host")
    _check(environment)
    try:
        from task_pipeline.observability.otlp import OtlpSender
    except ModuleNotFoundError as error:
        raise WrongTraces(f"{variable}: traces need the extra {EXTRA}, install it: {error}") from error
    try:
        return OtlpSender()
    except (ValueError, RuntimeError) as error:
        raise WrongTraces(f"{variable}: traces cannot be sent: {error}") from error


def _check(environment: Mapping[str, str]) -> None:
    """What the library finds out only when it sends. Raises WrongTraces, without the value: it may be a secret."""
    for name, value in environment.items():
        if not value or not name.startswith("OTEL_EXPORTER_OTLP_"):
            continue
        if name.endswith("HEADERS") and not unquote(value).isprintable():
            raise WrongTraces(f"{name}: holds a character that no header may hold")
        if name.endswith("TIMEOUT") and not _is_positive(value):
            raise WrongTraces(f"{name}: must be a number of seconds above 0")
        if name.endswith("CERTIFICATE") and not Path(value).is_file():
            raise WrongTraces(f"{name}: there is no such file")


def _is_positive(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False
