"""Structured logs: structlog in front, the standard library's ``logging`` behind.

A library must not decide how its host logs, so ``get_logger`` only hands events to
``logging``, where they read as ``event key=value``. The command line calls
``configure_logging`` once, and they become JSON lines or a coloured console.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections.abc import Iterable, Mapping, MutableMapping
from types import TracebackType
from typing import Any, Literal, TextIO
from urllib.parse import quote

import structlog

from audio_processor.secret import MASK

LogFormat = Literal["auto", "json", "console"]
ROOT_NAMES = ("audio_processor", "database_manager", "uploads_queue")
_SHORTEST_SECRET = 4
"""A shorter one occurs in ordinary words; masking it would only show what it is."""
_NESTED_ESCAPES = 2
"""A repr inside a JSON line is two deep."""


class _Event(dict[str, Any]):
    """An event that an unconfigured ``logging`` prints as one readable line."""

    def __str__(self) -> str:
        fields = (f"{k}={v!r}" for k, v in self.items() if k not in {"event", "exc_info"})
        return " ".join((str(self.get("event", "")), *fields))


def _hand_over(
    logger: logging.Logger, name: str, event: MutableMapping[str, Any]
) -> tuple[tuple[_Event], dict[str, Any]]:
    exc_info = event.pop("exc_info", None)
    kwargs = {"exc_info": exc_info} if exc_info else {}
    extra = {"_logger": logger, "_name": name}
    return (_Event(event),), {"extra": extra, **kwargs}


def get_logger(name: str, **context: object) -> structlog.stdlib.BoundLogger:
    """Return a logger whose every line carries the context; ``bind`` adds more."""
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.PositionalArgumentsFormatter(),
            _hand_over,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return logger.bind(**context)


def configure_logging(
    format: LogFormat = "auto",
    level: str = "INFO",
    *,
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Send all logs to ``stream`` (stderr), with the secrets masked wherever they occur.

    ``auto`` is ``console`` on a terminal and ``json`` elsewhere. Other libraries are heard
    from WARNING up: at DEBUG, botocore would print signed headers. What nobody catches is logged
    too, for the interpreter would print it as it is. Calling again replaces what the last call
    set up.
    """
    stream = sys.stderr if stream is None else stream
    if format == "auto":
        format = "console" if stream.isatty() else "json"
    handler = _Handler(stream)
    handler.setFormatter(_formatter(format, Masker(secrets), colors=stream.isatty()))
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in ROOT_NAMES:
        logging.getLogger(name).setLevel(level)
    _hear_crashes()


def _hear_crashes() -> None:
    """Have exceptions that end the program or a thread, and warnings, go the way of all logs."""
    log = logging.getLogger(f"{ROOT_NAMES[0]}.crash")

    def told(
        kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("crashed", exc_info=(kind, error or kind(), trace))

    sys.excepthook = told
    sys.unraisablehook = lambda args: told(args.exc_type, args.exc_value, args.exc_traceback)
    threading.excepthook = lambda args: told(args.exc_type, args.exc_value, args.exc_traceback)
    logging.captureWarnings(True)


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that it can be told from a host's own."""


def _escaped(text: str) -> tuple[str, str, str]:
    """Return the text as a repr and as JSON, with and without ASCII escapes, hold it."""
    ascii_json, json_text = (json.dumps(text, ensure_ascii=a)[1:-1] for a in (True, False))
    return repr(text)[1:-1], ascii_json, json_text


_CREDENTIALS = re.compile(
    # a URL's user and password; a signed request's token and signature, and what Amazon sends
    # back of them; a whole Authorization
    r"""(?P<before>://(?=[^\s/'"@]*:[^\s'"@]*@)
      | x-amz-(?:security-token|signature)\W{0,4}[:=]\W{0,4}(?:b['"])?(?=[^\W_])
      | <token-\d+>
      | (?P<whole>authorization)\W{0,4}[:=]\W{0,4}(?:b['"])?(?=[^\W_]))
      (?(whole)[^'"\r\n\\]+ | [^\s'"&,;}@<\\]+)""",
    re.IGNORECASE | re.VERBOSE,
)


class Masker:
    """Replaces secrets in text, also in the forms that JSON, reprs and URLs give them.

    What looks like a credential goes too: some, as a machine's role's, are never among ours.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {
            form
            for secret in secrets
            if len(secret) >= _SHORTEST_SECRET
            for form in (secret, quote(secret, safe=""), quote(secret))
        }
        for _ in range(_NESTED_ESCAPES):
            forms |= {escaped for form in forms for escaped in _escaped(form)}
        self._forms = sorted(forms, key=len, reverse=True)

    def mask(self, text: str) -> str:
        """Return the text without the secrets."""
        for form in self._forms:
            text = text.replace(form, MASK)
        return _CREDENTIALS.sub(rf"\g<before>{MASK}", text)


_COMMANDS = re.compile(r"(?!\x1b\[[\d;]*m)[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class _MaskingFormatter(structlog.stdlib.ProcessorFormatter):
    """Masks the finished line, traceback and all: nothing can be added after it.

    What a terminal would obey, but for the console's own colours, becomes visible text.
    """

    def __init__(self, masker: Masker, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._masker = masker

    def format(self, record: logging.LogRecord) -> str:
        line = self._masker.mask(super().format(record))
        return _COMMANDS.sub(lambda command: f"\\u{ord(command[0]):04x}", line)


def _formatter(
    format: Literal["json", "console"],
    masker: Masker,
    *,
    colors: bool,
) -> logging.Formatter:
    console = format == "console"
    common: list[structlog.typing.Processor] = [
        _from_record,
        structlog.processors.TimeStamper(
            fmt="%H:%M:%S" if console else "iso", utc=not console, key="timestamp"
        ),
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
    ]
    if console:
        last: list[structlog.typing.Processor] = [
            structlog.dev.ConsoleRenderer(
                colors=colors, exception_formatter=structlog.dev.plain_traceback
            )
        ]
    else:
        last = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ]
    return _MaskingFormatter(
        masker,
        processors=[*common, *last],
        # the queue's and the storage's lines come by ``logging``: they have a job's ids too
        foreign_pre_chain=[structlog.contextvars.merge_contextvars],
        keep_exc_info=True,
    )


def _from_record(_logger: object, _name: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Take over what ``logging`` knows: level, logger's name, thread, exception."""
    record: logging.LogRecord = event["_record"]
    event["level"] = record.levelname.lower()
    event["logger"] = record.name
    event["thread"] = record.threadName
    if isinstance(record.exc_info, tuple):
        event["exc_info"] = record.exc_info
        record.exc_info = record.exc_text = None  # of a copy; else it would be printed twice
    return event
