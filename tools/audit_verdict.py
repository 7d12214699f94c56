"""Reads pip-audit's report: a package that it could not look up is no verdict on it.

``audit_verdict.py REPORT LOG EXIT_CODE``; exit code 0 nothing known, 1 vulnerable, 3 not asked.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

UNREACHABLE = 3


def main(report: Path, log: Path, exit_code: int) -> int:
    """Say what was found; return the exit code."""
    try:
        packages = json.loads(report.read_text(encoding="utf-8"))["dependencies"]
    except (OSError, ValueError, KeyError):
        last = (log.read_text(encoding="utf-8", errors="replace").strip() or "no word").splitlines()
        print(f"audit: the advisories cannot be had here ({exit_code}: {last[-1][:200]})")
        return UNREACHABLE
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    found = [(package, one) for package in packages for one in package.get("vulns", ())]
    for package, one in found:
        fixed = ", ".join(one["fix_versions"]) or "no version yet"
        print(f"audit: {package['name']} {package['version']}: {one['id']}, fixed in {fixed}")
    if found:
        return 1
    if skipped or not packages:
        print(f"audit: {len(skipped)} of {len(packages)} packages could not be looked up here")
        return UNREACHABLE
    print(f"audit: nothing is known against the {len(packages)} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
