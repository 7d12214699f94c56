"""What every group of settings is made of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)
from pydantic_core import PydanticCustomError


class Problem(NamedTuple):
    """A key, and a sentence that says what is wrong with it and what to do."""

    key: str
    sentence: str


_EXTRA = ("also", "default_text", "example")
RULE = "rule"
"""Type of the validation error that carries problems found by ``Group.problems``."""


class Group(BaseModel):
    """A frozen table of settings; its docstring introduces it in the documentation."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong between this group's keys, each key relative to the group."""
        return iter(())

    def __getstate__(self) -> dict[Any, Any]:
        """Refuse to be pickled with a secret in it: a pickle is plain text."""
        if any(isinstance(value, SecretStr) for _, value in self):
            raise TypeError("settings that hold a secret are not pickled: load them again")
        return super().__getstate__()

    @model_validator(mode="after")
    def _hold_the_rules(self) -> Self:
        check(self.problems())
        return self


def check(problems: Iterator[Problem]) -> None:
    """Raise one validation error that carries all the problems, if there are any."""
    if found := list(problems):
        text = "; ".join(f"{key}: {sentence}" for key, sentence in found)
        raise PydanticCustomError(RULE, "{text}", {"text": text, "problems": found})


def setting(default: Any = ..., about: str = "", **rules: Any) -> Any:
    """Return a field whose default, meaning and range the reference is written from.

    ``also`` lists names that people write for it elsewhere, for "did you mean";
    ``default_text`` says in words what a computed default is; ``example`` is shown where there
    is none.
    """
    extra: dict[str, Any] = {n: rules.pop(n) for n in _EXTRA if n in rules}
    return Field(default, description=about, json_schema_extra=extra, **rules)


def _prefix(value: str) -> str:
    parts = value.split("/")
    if len(parts) < 2 or parts[-1] != "" or any(part in {"", ".", ".."} for part in parts[:-1]):
        raise ValueError(
            "a prefix is one or more folder names, each followed by '/', such as 'tracks/'"
        )
    return _header(value)


def _header(value: str) -> str:
    if re.search(r"[\x00-\x1f\x7f]", value):
        raise ValueError("must not contain control characters")
    return value


def _url(value: str) -> str:
    if not re.match(r"https?://[^/\s]+", value):
        raise ValueError("must start with http:// or https:// and name a host")
    if re.search(r"[@?#]", value) or not re.fullmatch(r"[^/]*?(:\d+)?(/.*)?", _after_scheme(value)):
        raise ValueError("must not contain credentials; they have keys of their own")
    return value


def _after_scheme(url: str) -> str:
    return url.split("//", 1)[1]


def _host(value: str) -> str:
    if "@" in value or "://" in value:
        raise ValueError("must be the host alone: user, password and port have keys of their own")
    return value


def _database_name(value: str) -> str:
    if "://" in value:
        raise ValueError("must be the name alone: host, user and password have keys of their own")
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


Prefix = Annotated[str, AfterValidator(_prefix)]
HeaderValue = Annotated[str, AfterValidator(_header)]
Url = Annotated[str, AfterValidator(_url)]
Host = Annotated[str, AfterValidator(_host)]
DatabaseName = Annotated[str, AfterValidator(_database_name)]
UpperCase = BeforeValidator(_upper)
