"""The object store and the database: how fast they answer, and whether."""

from __future__ import annotations

from tools.dashboard.panels import Builder, Query, lines
from tools.dashboard.selectors import quantile, rate

TITLE = "Dependencies"


def panels() -> list[Builder]:
    """Return the row's panels."""
    return [
        lines(
            "Object store, p95",
            "Time of one operation that one in twenty exceeds, its repetitions included.",
            "s",
            Query(quantile(0.95, "storage_request_seconds", "operation"), "{{operation}}"),
        ),
        lines(
            "Object store, operations",
            "Operations a second. Requests are what an object store charges for.",
            "ops",
            Query(rate("storage_request_seconds_count", "operation"), "{{operation}}"),
            stacked=True,
        ),
        lines(
            "Object store, errors",
            "Errors per minute, by operation and error.",
            "cpm",
            Query(
                f"{rate('storage_errors_total', 'operation, error')} * 60",
                "{{operation}}: {{error}}",
            ),
            bars=True,
            stacked=True,
        ),
        lines(
            "Database, p99",
            "Time of one statement that one in a hundred exceeds. A claim takes milliseconds.",
            "s",
            Query(quantile(0.99, "database_statement_seconds", "statement"), "{{statement}}"),
        ),
        lines(
            "Database, statements",
            "Statements a second.",
            "ops",
            Query(rate("database_statement_seconds_count", "statement"), "{{statement}}"),
            stacked=True,
        ),
        lines(
            "Database, errors",
            "Errors per minute, by statement and error.",
            "cpm",
            Query(
                f"{rate('database_errors_total', 'statement, error')} * 60",
                "{{statement}}: {{error}}",
            ),
            bars=True,
            stacked=True,
        ),
    ]
