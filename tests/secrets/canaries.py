"""Secrets that give themselves away: wherever a piece of one turns up, it has leaked."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

PASSWORD = "Canary1db-\"p'ä\\ss/w%rd@x"
"""Of a database, with all that quoting and escaping change."""
S3_SECRET = "Canary2s3+secret/key=="
TOKEN = "Canary3token/+/of/temporary/credentials=="
MARKS = ("Canary1db", "Canary2s3", "Canary3token")
"""What no escaping changes."""


def _disguises(mark: str) -> Iterator[str]:
    yield mark
    yield mark.encode().hex()
    # at each of the three offsets that it can have in a longer text; the ends depend on neighbours
    for before in range(3):
        coded = base64.b64encode(b"x" * before + mark.encode()).decode()
        yield coded[4 if before else 0 : len(coded) // 4 * 4 - 4]


DISGUISES = [disguise for mark in MARKS for disguise in _disguises(mark)]


def leaked(shown: str | bytes) -> list[str]:
    """What of the secrets can be read in it, plainly or in another alphabet."""
    text = shown.decode("utf-8", "replace") if isinstance(shown, bytes) else shown
    return [disguise for disguise in DISGUISES if disguise in text]


def ways_to_show(value: object) -> Iterator[tuple[str, str | bytes]]:
    """Every way in which code, a debugger or a crash reporter puts a value into words."""
    yield "repr", repr(value)
    yield "str", str(value)
    yield "format", f"{value}"
    yield "pprint", pprint.pformat(value)
    with suppress(TypeError):
        yield "json", json.dumps(value, default=repr)
    with suppress(TypeError):
        yield "json of vars", json.dumps(vars(value), default=repr)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        with suppress(Exception):  # what cannot be copied
            yield "asdict", repr(dataclasses.asdict(value))
    with suppress(Exception):  # what cannot be pickled, or will not be
        yield "pickle", pickle.dumps(value)
    for dump in ("model_dump", "model_dump_json"):
        if hasattr(value, dump):
            yield dump, repr(getattr(value, dump)())


def of_an_exception(error: BaseException) -> Iterator[tuple[str, str]]:
    """The error and everything that led to it, as a log or a crash reporter tells it."""
    yield "traceback", "".join(traceback.format_exception(error))
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield type(one).__name__, f"{one} {one!r} {one.args!r} {vars(one)!r}"
        # also what ``from None`` hides: a crash reporter may follow it
        waiting += [one.__cause__, one.__context__]


class Everything(logging.Handler):
    """A host's own handler, which masks nothing."""

    def __init__(self) -> None:
        super().__init__(level=logging.DEBUG)
        self.stream = io.StringIO()
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.stream.write(f"{self.format(record)} {record.args!r}\n")


@contextmanager
def everything_logged(*quiet: str) -> Iterator[Everything]:
    """Every logger at DEBUG into a handler that masks nothing, but for the ``quiet`` ones."""
    root, handler = logging.getLogger(), Everything()
    names = list(logging.root.manager.loggerDict)
    before = {name: logging.getLogger(name).level for name in names}
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for name in names:
        hushed = any(name == one or name.startswith(f"{one}.") for one in quiet)
        logging.getLogger(name).setLevel(logging.WARNING if hushed else logging.DEBUG)
    try:
        yield handler
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        for name, old in before.items():
            logging.getLogger(name).setLevel(old)


def anything(**values: Any) -> dict[str, list[str]]:
    """What leaks of each value, in any way to show it; empty where nothing does."""
    found = {
        f"{name} by {way}": leaked(shown)
        for name, value in values.items()
        for way, shown in ways_to_show(value)
    }
    return {where: marks for where, marks in found.items() if marks}
