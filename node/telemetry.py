"""Structured logs: one event a line, with the ids of the request and the conversion that it belongs to.

No token and no personal data enters a line: what is logged is a route's template, never its path; an error's class,
place and code, never the values it was about.
"""

import asyncio
import json
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Literal, TextIO, cast

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from protocol.errors import TallystickError

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_FRAMES_MAX: Final = 30
_IDS: Final[ContextVar[Mapping[str, str]]] = ContextVar("ids", default=MappingProxyType({}))
_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_SHOW_INFO: Final = tuple(map(structlog.make_filtering_bound_logger, (LEVELS["debug"], LEVELS["info"])))
_LOG: Final = structlog.get_logger()


class _Lossy:
    """A file to which lines are written if that can be done: a full disk or a reader that has gone stops no work."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        """Write `text`, or nothing."""
        with suppress(OSError, ValueError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what was written, or nothing."""
        with suppress(OSError, ValueError):
            self._file.flush()


def configure_logging(*, level: str, form: Literal["json", "console"]) -> None:
    """Send every log line of the process to standard error, `form` a line; one that cannot be written is lost."""
    shown: Processor = render_line
    # Two methods of a file are all that is asked of it.
    lines = cast("TextIO", _Lossy(sys.stderr))
    if form == "console":
        shown = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    shared: list[Processor] = [
        add_ids,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        describe_exception,
    ]
    structlog.configure(
        processors=[*shared, shown],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=lines),
        cache_logger_on_first_use=False,
    )
    REQUEST_LINES.file = lines
    _adopt_standard_logging(level, [*shared, structlog.stdlib.ProcessorFormatter.remove_processors_meta, shown])


def _adopt_standard_logging(level: str, processors: list[Processor]) -> None:
    # uvicorn and the libraries below it speak through the standard library: the same lines, the same place.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=processors))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(LEVELS[level], logging.WARNING))
    # It warns that what failed has failed, for each commit on a full disk: that is told to who asked for it.
    logging.getLogger("psycopg").setLevel(logging.ERROR)


class RequestLines:
    """A line in the log for each request; those of one turn of the event loop are written together.

    To bind a logger, ask its processors and write one line by itself took longer than a transfer's whole answer. Where
    lines are JSON these are made at once, to the byte as the processors would make them; elsewhere those are asked.
    """

    def __init__(self) -> None:
        """Begin with none, and nowhere to write to."""
        self.file: TextIO | None = None
        self._lines: list[str] = []

    def add(self, *, request: str, method: str, route: str, status: int, milliseconds: float, **ids: str) -> None:
        """Log that a request was answered, on the loop that has answered it."""
        config = structlog.get_config()
        shown = config["processors"][-1] is render_line and config["wrapper_class"] in _SHOW_INFO
        # Of all that stands in a line, the method alone is a caller's own text.
        if not (shown and method.isascii() and method.isalpha()) or ids or self.file is None:
            with log_context(request=request):
                _LOG.info("request", method=method, route=route, status=status, milliseconds=milliseconds, **ids)
            return
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._write)
        time = datetime.now(UTC).isoformat()
        self._lines.append(
            f'{{"event": "request", "level": "info", "method": "{method}", "milliseconds": {milliseconds}, '
            f'"request": "{request}", "route": "{route}", "status": {status}, "timestamp": "{time[:-6]}Z"}}\n'
        )

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        if self.file is not None:
            self.file.write("".join(lines))
            self.file.flush()


REQUEST_LINES: Final = RequestLines()
"""The lines of this process."""


def add_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the ids of what the line belongs to, where it does not name them itself."""
    for name, value in _IDS.get().items():
        event.setdefault(name, value)
    return event


def render_line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """Return a line as one JSON object with its keys in order: a request is a line, so they are made quickly."""
    try:
        return msgspec.json.format(_ENCODER.encode(event), indent=0).decode()
    except (TypeError, UnicodeEncodeError):
        # Some library has logged an object of its own, or half a character.
        return json.dumps(event, sort_keys=True, default=repr)


def describe_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace an exception by its class, code and places: its text may quote what a client sent."""
    given = event.pop("exc_info", None)
    if not given:
        return event
    error = given if isinstance(given, BaseException) else _current(given)
    if error is not None:
        event["error"] = type(error).__name__
        if isinstance(error, TallystickError):
            event["code"] = error.code
        event["places"] = places_of(error.__traceback__)
        cause = error.__cause__ or error.__context__
        if cause is not None:
            event["cause"] = type(cause).__name__
    return event


def places_of(trace: TracebackType | None) -> list[str]:
    """Return where an exception passed, innermost last: file, line and function, without the code or its values."""
    frames = traceback.extract_tb(trace)[-_FRAMES_MAX:]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]


@contextmanager
def log_context(**ids: str) -> Iterator[None]:
    """Put `ids` into every line that is logged inside."""
    token = _IDS.set({**_IDS.get(), **ids})
    try:
        yield
    finally:
        _IDS.reset(token)


def _current(given: object) -> BaseException | None:
    if isinstance(given, tuple) and isinstance(given[1], BaseException):
        return given[1]
    return sys.exc_info()[1]
