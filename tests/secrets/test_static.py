"""What the program's source must not have in it: shells, code made of data, SQL made of strings."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("audio_processor", "uploads_queue", "migrations", "tools")
SOURCES = [
    ROOT / "database_manager.py",
    *(path for part in PARTS for path in sorted((ROOT / part).rglob("*.py"))),
]

FORBIDDEN = {
    "a shell": {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"},
    "code made of data": {"eval", "exec", "compile", "__import__", "runpy.run_path"},
    "objects made of data": {
        *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.load", "marshal.loads"),
        *("shelve.open", "dill.loads", "yaml.load", "yaml.unsafe_load", "numpy.load"),
    },
    "a name that others can take first": {"tempfile.mktemp", "os.tempnam"},
    "a certificate that nobody checks": {"ssl._create_unverified_context"},
    "markup that nobody escapes": {"jinja2.Template", "string.Template"},
    "XML that may name other files": {"xml.etree.ElementTree.parse", "xml.sax.parse"},
}
STARTS_A_PROCESS = {
    *("subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_call"),
    *("subprocess.check_output", "os.execv", "os.execve", "os.execvp", "os.posix_spawn", "os.fork"),
}
STARTERS = {f"audio_processor/media/{name}.py" for name in ("binary", "fdkaac_binary", "ffmpeg")}

SQL_TEXT = {"text", "exec_driver_sql", "literal_column", "DDL"}
"""Calls whose text is SQL: it is written there, whole."""
SQL = {"execute", "executemany", "scalar", "scalars"}
"""Calls that take a statement, or in a driver and in Alembic its text."""

EXCEPTIONS = {
    ("uploads_queue/schema.py", "WAITING"): "a constant, written whole above",
    ("uploads_queue/schema.py", "IN_WORK"): "a constant, written whole above",
    ("migrations/__init__.py", "f'SELECT {function}'"): "one of four texts of the same function",
    ("migrations/versions/0001_lease_columns.py", "f\"ALTER TABLE {quoted} {', '.join(group)}\""): (
        "DDL takes no parameters; the columns are the migration's own, the name is quoted"
    ),
    ("migrations/indexes.py", "f'DROP INDEX CONCURRENTLY {name}'"): (
        "DDL takes no parameters; the index is one of a step's constants"
    ),
    ("migrations/versions/0004_claim_at_scale.py", "WHERE[index]"): "one of two constants",
    (
        "migrations/versions/0004_claim_at_scale.py",
        "f\"ALTER TABLE uploads SET ({', '.join(settings)})\"",
    ): "DDL takes no parameters; names and values are constants",
    (
        "migrations/versions/0004_claim_at_scale.py",
        "f\"ALTER TABLE uploads RESET ({', '.join(ours)})\"",
    ): "DDL takes no parameters; the names are constants",
}
"""By file and expression: why it may stay."""


@dataclass(frozen=True)
class Call:
    """One call in the source."""

    file: str
    name: str
    """In full where it was imported: ``subprocess.run``, also if it is written ``run``."""
    node: ast.Call

    @property
    def place(self) -> str:
        return f"{self.file}:{self.node.lineno}"


def calls(path: Path) -> Iterator[Call]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {(a.asname or a.name): a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported |= {(a.asname or a.name): f"{node.module}.{a.name}" for a in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            head, _, rest = ast.unparse(node.func).partition(".")
            name = ".".join(filter(None, (imported.get(head, head), rest)))
            yield Call(path.relative_to(ROOT).as_posix(), name, node)


ALL = [call for path in SOURCES for call in calls(path)]


def test_the_whole_program_is_looked_at() -> None:
    assert len(SOURCES) > 150
    assert {call.file for call in ALL if call.name in STARTS_A_PROCESS} == STARTERS


@pytest.mark.parametrize("what", FORBIDDEN)
def test_there_is_none_of(what: str) -> None:
    assert [call.place for call in ALL if call.name in FORBIDDEN[what]] == []


def test_a_process_is_started_in_three_places_and_never_by_a_shell() -> None:
    for call in ALL:
        keywords = {keyword.arg: keyword.value for keyword in call.node.keywords}
        assert "shell" not in keywords, call.place
        if call.name in STARTS_A_PROCESS:
            assert call.file in STARTERS, call.place
            assert isinstance(call.node.args[0], ast.List), f"{call.place}: a list of arguments"
            assert "env" in keywords, f"{call.place}: with an environment of its own"


def test_no_certificate_is_left_unchecked_by_an_argument() -> None:
    for call in ALL:
        for keyword in call.node.keywords:
            if keyword.arg in {"verify", "verify_mode", "check_hostname", "cert_reqs"}:
                unchecked = isinstance(keyword.value, ast.Constant) and not keyword.value.value
                assert not unchecked, call.place


# ── SQL ──────────────────────────────────────────────────────────────────────────────────


def is_put_together(node: ast.expr) -> bool:
    """Whether a text is made there of parts, one of which is not written there."""
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) for part in node.values)
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Add | ast.Mod) and not _is_written(node)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in {"format", "format_map", "join", "replace"}
    return False


def _is_written(node: ast.expr) -> bool:
    """Whether all of a text stands in the source, in one piece or in several."""
    match node:
        case ast.Constant(value=str()):
            return True
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _is_written(left) and _is_written(right)
        case ast.IfExp(body=body, orelse=orelse):
            return _is_written(body) and _is_written(orelse)
        case _:
            return False


def sql_of_strings() -> dict[tuple[str, str], str]:
    """Every place where SQL is not written whole: (file, expression) → line."""
    found = {}
    for call in ALL:
        if is_loose(call.node) and _speaks_sql(call.file):
            found[call.file, ast.unparse(call.node.args[0])] = call.place
    return found


def is_loose(call: ast.Call) -> bool:
    """Whether the call is given SQL that does not stand in the source."""
    method = ast.unparse(call.func).rpartition(".")[2]
    if not call.args:
        return False
    if method in SQL_TEXT:
        return not _is_written(call.args[0])
    return method in SQL and is_put_together(call.args[0])


def _speaks_sql(file: str) -> bool:
    return "sqlalchemy" in (ROOT / file).read_text() or "alembic" in (ROOT / file).read_text()


def test_sql_is_written_not_made() -> None:
    found = sql_of_strings()
    assert {place: line for place, line in found.items() if place not in EXCEPTIONS} == {}
    assert set(EXCEPTIONS) <= set(found), "an exception that is no more"


def test_only_the_queue_speaks_sql() -> None:
    speakers = {path.relative_to(ROOT).as_posix() for path in SOURCES if _speaks_sql(str(path))}
    assert all(
        file == "database_manager.py" or file.startswith(("uploads_queue/", "migrations/"))
        for file in speakers
    )


MADE = [
    'text(f"SELECT {x}")',
    'text("SELECT " + x)',
    "text(x)",
    'connection.execute("SELECT %s" % x)',
    'connection.execute("SELECT {}".format(x))',
    'cursor.execute(f"SELECT {x}")',
    'op.execute(" ".join(x))',
    "connection.exec_driver_sql(x)",
]
WRITTEN = [
    'text("SELECT 1")',
    'text("SELECT " "1")',
    "connection.execute(select(table.c.x).where(table.c.y == x))",
    'connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")',
    'cursor.execute("SELECT ?", (x,))',
]


@pytest.mark.parametrize(
    ("source", "loose"), [(s, True) for s in MADE] + [(s, False) for s in WRITTEN]
)
def test_the_search_knows_one_from_the_other(source: str, loose: bool) -> None:
    [statement] = ast.parse(source).body
    assert isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
    assert is_loose(statement.value) is loose
