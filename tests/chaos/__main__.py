"""``python -m tests.chaos``: the long run, on PostgreSQL and on MariaDB."""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
from pathlib import Path

from tests.chaos.faults import ROUND
from tests.chaos.report import shortfall, table
from tests.chaos.run import Wish, chaos
from tests.requirements import REQUIRE_ALL
from tests.servers.mariadb import running_mariadb
from tests.servers.postgres import running_postgres
from tests.servers.s3 import running_s3

TRACKS = 520
FAULTS = 5 * ROUND
SERVERS = {"postgresql": running_postgres, "mysql": running_mariadb}


def main() -> int:
    # what is mounted and running goes with us, however we are told to end
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--tracks", type=int, default=TRACKS, help="of both databases together")
    parser.add_argument("--faults", type=int, default=FAULTS, help="of both databases together")
    parser.add_argument("--seed", type=int, default=None, help="a number; by chance unless given")
    parser.add_argument("--pace", type=float, default=2.0, help="mean seconds between faults")
    parser.add_argument("--validated", type=int, help="per database; all that completed")
    parser.add_argument("--database", choices=list(SERVERS), action="append")
    parser.add_argument("--keep", type=Path, help="folder in which to keep logs")
    given = parser.parse_args()
    names = given.database or list(SERVERS)
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    stories = []
    for name in names:
        wish = Wish(
            given.tracks // len(names),
            given.faults // len(names),
            seed,
            pace_s=given.pace,
            validated=given.validated,
        )
        with (
            SERVERS[name]() as database,
            running_s3() as s3,
            tempfile.TemporaryDirectory(prefix="chaos-") as temporary,
        ):
            folder = Path(temporary)
            if given.keep is not None:
                folder = given.keep / name
                folder.mkdir(parents=True)
            story = chaos(wish, database, s3, folder)
        print(table(story), flush=True)
        stories.append(story)
    lacks = shortfall(stories, require_all=os.environ.get(REQUIRE_ALL) == "1")
    for lack in lacks:
        print(f"  ! {lack}", flush=True)
    return 1 if lacks or any(story.verdict.complaints for story in stories) else 0


if __name__ == "__main__":
    sys.exit(main())
