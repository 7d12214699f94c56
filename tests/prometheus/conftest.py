"""One real Prometheus with our rules, for whoever asks it to understand an expression."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.prometheus.programs import Prometheus, running_prometheus
from tests.prometheus.rules import ALERTS


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    rules = ALERTS.read_text(encoding="utf-8")
    with running_prometheus(folder, rules, target=None) as server:
        yield server
