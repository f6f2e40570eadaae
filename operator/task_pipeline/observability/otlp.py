"""Sends spans by OTLP over HTTP, with OpenTelemetry's own exporter, set up by its standard variables.

Rule: only here is OpenTelemetry imported, and this module only where traces are turned on (trace_switch.py).
"""

import logging
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

from task_pipeline import __version__
from task_pipeline.observability.traces import PREFIX, Span

AT_ONCE = 512  # spans in one request
SERVICE = "task-pipeline"
_OF_HEADERS = "opentelemetry.util.re"  # the logger of what reads them


class OtlpSender:
    """Sends to the collector that the variables name. Raises ValueError for a variable that makes no sense."""

    def __init__(self) -> None:
        self._said = _LastSaid(logging.WARNING)
        library = logging.getLogger("opentelemetry")  # has a line for every attempt
        library.handlers, library.propagate = [self._said], False
        library.setLevel(logging.WARNING)  # what it says is read here, whatever the operator's own log holds
        self._exporter = OTLPSpanExporter()
        self._scope = InstrumentationScope(SERVICE, __version__)
        own = Resource({SERVICE_NAME: SERVICE, SERVICE_VERSION: __version__})
        self._resource = own.merge(OTELResourceDetector().detect())
        if self._said.text:  # the library would go on with what it does not understand left out
            raise ValueError(self._said.text)

    def send(self, spans: Sequence[Span]) -> str | None:
        """Send them, some hundred at a time; returns what went wrong, None when nothing did."""
        for first in range(0, len(spans), AT_ONCE):
            some = [self._readable(span) for span in spans[first : first + AT_ONCE]]
            if self._exporter.export(some) is not SpanExportResult.SUCCESS:
                return self._said.text or "the collector did not take it"
        return None

    def close(self) -> None:
        """Let a `send` that waits for its next attempt give up."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def _readable(self, span: Span) -> ReadableSpan:
        ok, failed = Status(StatusCode.UNSET), Status(StatusCode.ERROR, span.failed)
        launched = () if span.launched is None else (Event(PREFIX + "launched", timestamp=span.launched),)
        return ReadableSpan(
            span.name,
            context=_context(span.trace, span.id),
            parent=None if span.parent is None else _context(span.trace, span.parent),
            resource=self._resource,
            attributes=span.attributes,
            events=launched,
            status=ok if span.failed is None else failed,
            start_time=span.start,
            end_time=span.end,
            instrumentation_scope=self._scope,
        )


class _LastSaid(logging.Handler):
    """Keeps the last warning of the library, without the headers, which hold secrets."""

    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage() if record.name != _OF_HEADERS else "headers are name=value, with commas between"


def _context(trace: int, span: int) -> SpanContext:
    return SpanContext(trace, span, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
