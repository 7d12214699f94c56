"""Writes the dashboard anew."""

from __future__ import annotations

from tools.dashboard.document import PATH, text

PATH.write_text(text(), encoding="utf-8")
print(f"{PATH.name}: written")
