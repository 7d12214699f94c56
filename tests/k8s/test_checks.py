"""Values that would break a pod are refused in words, and its size follows what it has to do."""

from __future__ import annotations

import json
from pathlib import Path

from tests.k8s.rendering import Document, documents, helm_template, one

GIB = 2**30


def with_values(values: Document, folder: Path, *options: str) -> list[Document]:
    file = folder / "values.json"
    file.write_text(json.dumps(values))
    return documents(helm_template("--values", str(file), *options))


def test_a_scrape_is_never_given_longer_than_the_interval(tmp_path: Path) -> None:
    """Prometheus refuses that; left out, it is its own default, cut to the interval."""
    docs = with_values({"monitoring": {"enabled": True, "interval": "5s"}}, tmp_path)
    [endpoint] = one(docs, "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["interval"] == "5s"
    assert "scrapeTimeout" not in endpoint
