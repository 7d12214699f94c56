"""Settings as no operator would write them: ``ConfigError`` that names the fault, or settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from audio_processor.errors import ConfigError
from audio_processor.settings import Settings, load_settings
from audio_processor.settings.keys import keys
from tests.hostile.mutants import BOUNDED

ONE_FOLDER = settings(BOUNDED, suppress_health_check=[HealthCheck.function_scoped_fixture])
KEYS = sorted(keys())
GOOD = (Path(__file__).parents[2] / "config.example.toml").read_text("utf-8")

VALUES = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.booleans(),
    st.text(max_size=30),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
    st.sampled_from(["", "0", "-1", "nan", "inf", "1e999", "null", "[]", "{}", "true", "/", "~\0"]),
)


def loads(path: Path | None, environ: dict[str, str]) -> None:
    """Load; the only way to fail is the announced one, with something said."""
    try:
        loaded = load_settings(path, environ=environ)
    except ConfigError as error:
        assert str(error)
        assert "Traceback" not in str(error)
    else:
        assert isinstance(loaded, Settings)


@given(text=st.text(max_size=400))
@ONE_FOLDER
@example(text="a." * 2000 + "b = 1")
@example(text="x = " + "[" * 3000)
@example(text="[[storage]]\n[[storage]]")
@example(text='storage.bucket = "\\u0000"')
def test_any_text_for_a_file(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    loads(path, {})


@given(data=st.binary(max_size=400))
@ONE_FOLDER
def test_any_bytes_for_a_file(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(data)
    loads(path, {})


@given(pairs=st.lists(st.tuples(st.sampled_from(KEYS), VALUES), min_size=1, max_size=4))
@ONE_FOLDER
def test_any_value_for_a_key(pairs: list[tuple[str, object]], tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    lines = [f"{key} = {json.dumps(value)}" for key, value in dict(pairs).items()]
    path.write_text("\n".join(lines), "utf-8")
    loads(path, {})


@given(places=st.lists(st.integers(0, len(GOOD) - 1), max_size=6), inserted=st.text(max_size=3))
@ONE_FOLDER
def test_the_example_with_something_wrong_in_it(
    places: list[int], inserted: str, tmp_path: Path
) -> None:
    text = GOOD
    for at in places:
        text = text[:at] + inserted + text[at + 1 :]
    path = tmp_path / "config.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    loads(path, {})


ENVIRONMENT_NAMES = st.one_of(
    st.sampled_from([f"AUDIO_PROCESSOR__{key.upper().replace('.', '__')}" for key in KEYS]),
    st.sampled_from(
        ["AUDIO_PROCESSOR__", "AUDIO_PROCESSOR_X__Y", "AUDIO_PROCESSOR__LADDER", "AWS_REGION"]
    ),
    st.text("ABC_", max_size=12).map(lambda text: f"AUDIO_PROCESSOR__{text}"),
)


@given(st.dictionaries(ENVIRONMENT_NAMES, VALUES.map(str), max_size=4))
@BOUNDED
@example({"AUDIO_PROCESSOR__LADDER__TIERS": "[" * 100_000})
def test_any_environment(environ: dict[str, str]) -> None:
    loads(None, environ)


@pytest.mark.parametrize("variable", ["AUDIO_PROCESSOR_CONFIG", "AUDIO_PROCESSOR_SECRETS_DIR"])
@pytest.mark.parametrize(
    "place", ["/nowhere", "\0", "/dev/null", "x" * 5000, "/proc/self/mem", "/", "~", " "]
)
def test_any_place_for_the_file_and_the_secrets(variable: str, place: str) -> None:
    loads(None, {variable: place})
