"""Whether a line that cannot be run here could be: each tool's part, held to the real thing."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from itertools import pairwise

import typer.main

from audio_processor import cli
from tests.docs.pages import ROOT

MAKEFILE = ROOT / "Makefile"
DOCKERFILE = ROOT / "Dockerfile"
COMPOSE = ROOT / "docker-compose.yml"
_SEPARATORS = {"|", "&&", "||", ";", "&"}
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


def check_line(line: str) -> set[str]:
    """Check every simple command of the line; return the tools that were looked at."""
    return {check(words) for words in simple_commands(line)}


def simple_commands(line: str) -> Iterator[list[str]]:
    """The line's commands, without assignments before them and redirections behind them."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word in _SEPARATORS:
            if words:
                yield words
            words = []
        elif words or not _ASSIGNMENT.match(word):
            words.append(word)


def check(words: list[str]) -> str:
    """Check one command by the tool that it calls. ``AssertionError`` says what is not so."""
    tool, *rest = words
    match tool:
        case "audio-processor":
            parse_by_the_program(rest)
        case "make":
            targets = re.findall(r"^([a-z-]+):", MAKEFILE.read_text(), re.MULTILINE)
            wanted = [word for word in rest if not _ASSIGNMENT.match(word)]
            assert set(wanted) <= set(targets), f"make has no {wanted}"
        case "kubectl" | "kustomize":
            for folder in following(rest, {"-k", "--kustomize"} | ({"build"} & set(rest))):
                assert (ROOT / folder / "kustomization.yaml").is_file(), folder
            for file in following(rest, {"-f", "--filename"}):
                assert (ROOT / file).exists(), file
        case "helm":
            charts = [word for word in rest if "/" in word and (ROOT / word).is_dir()]
            assert charts, f"no chart in {rest}"
            assert all((ROOT / chart / "Chart.yaml").is_file() for chart in charts)
            for file in following(rest, {"-f", "--values"}):
                assert (ROOT / file).is_file(), file
        case "docker" | "buildah" | "podman":
            check_container(rest)
        case "aws":
            check_aws(rest)
        case _:
            assert tool in {"cat", "curl", "cp", "cd", "sudo", "PATH", "export", "jq"}, tool
    return tool


def parse_by_the_program(arguments: list[str]) -> None:
    """Have the real command line take the arguments, without running anything."""
    group = typer.main.get_group(cli.app)
    try:
        with group.make_context("audio-processor", list(arguments)) as context:
            name, command, rest = group.resolve_command(
                context, [*context._protected_args, *context.args]
            )
            assert name is not None and command is not None, arguments
            with command.make_context(name, rest, parent=context) as inner:
                deeper = getattr(command, "commands", None)
                assert deeper is None or inner._protected_args[0] in deeper, arguments
    except SystemExit as refusal:
        raise AssertionError(f"audio-processor takes no {arguments}") from refusal
    except Exception as refusal:
        raise AssertionError(f"audio-processor {shlex.join(arguments)}: {refusal}") from refusal


def check_container(words: list[str]) -> None:
    """Services of the compose file, build arguments and stages of the Dockerfile."""
    if words[:1] == ["compose"]:
        import yaml

        composed = yaml.safe_load(COMPOSE.read_text())
        valued = following(words, {"--volume", "--env", "--profile", "--file"})
        verb, *services = (w for w in words[1:] if not w.startswith("-") and w not in valued)
        if verb in {"run", "exec"}:
            services, inner = services[:1], services[1:]
            if inner and services[0].startswith("worker"):
                parse_by_the_program(inner)
        assert set(services) <= set(composed["services"]), services
        profiles = {p for one in composed["services"].values() for p in one.get("profiles", ())}
        assert set(following(words, {"--profile"})) <= profiles
    elif "build" in words:
        text = DOCKERFILE.read_text()
        for argument in following(words, {"--build-arg"}):
            assert re.search(rf"^ARG {argument.split('=')[0]}\b", text, re.MULTILINE), argument
        for stage in following(words, {"--target"}):
            assert re.search(rf"^FROM .* AS {stage}$", text, re.MULTILINE), stage


def check_aws(words: list[str]) -> None:
    """The operation is one that botocore knows, and its options are the operation's."""
    from botocore import xform_name
    from botocore.session import get_session

    service, operation, *rest = words
    service = {"s3api": "s3"}.get(service, service)
    model = get_session().get_service_model(service)
    known = {xform_name(name, "-"): name for name in model.operation_names}
    assert operation in known, operation
    shape = model.operation_model(known[operation]).input_shape
    takes = {f"--{xform_name(name, '-')}" for name in shape.members}
    assert {word for word in rest if word.startswith("--")} <= takes, rest


def parses_as_shell(text: str) -> bool:
    """Whether bash can read the text."""
    return subprocess.run(["bash", "-n", "-c", text], check=False).returncode == 0


def following(words: list[str], options: set[str]) -> list[str]:
    """The words that stand after these options, or behind their equals sign."""
    found = [after for word, after in pairwise(words) if word in options]
    joined = [word.partition("=") for word in words if word.startswith("--") and "=" in word]
    return found + [value for name, _, value in joined if name in options]
