"""The command line: each command reads its arguments, calls the library, shows the answer.

Exit codes: 0 fine · 1 some tracks failed, or what was judged is not valid · 2 configuration
or usage · 3 the database or the store could not be reached.
"""

from __future__ import annotations

from audio_processor.cli.root import Exit, app, main

# the help lists commands in the order in which their modules come
# isort: off
from audio_processor.cli import work
from audio_processor.cli import queue
from audio_processor.cli import mastering
from audio_processor.cli import files
from audio_processor.cli import capacity
# isort: on

__all__ = ["Exit", "app", "capacity", "files", "main", "mastering", "queue", "work"]
