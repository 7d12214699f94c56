"""The page in a real browser: it draws, complains of nothing and asks for nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from audio_processor.reporting.data import ReportData
from audio_processor.reporting.page import page
from tests.player.browser import FLAGS
from tests.requirements import missing

PATIENCE_S = 90


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body = body
        self.requested: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.requested.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output to itself."""


def test_a_browser_shows_it_without_a_word_or_a_request(
    hostile: ReportData, tmp_path: Path
) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        missing("no Chromium: `make browser` installs it where it may")
    with _Server(page(hostile).encode()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            done = subprocess.run(
                [chromium, *FLAGS, "--enable-logging=stderr", "--dump-dom",
                 f"--user-data-dir={tmp_path}", f"http://127.0.0.1:{server.server_address[1]}/"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=True,
            )  # fmt: skip
        finally:
            server.shutdown()
            thread.join()
    assert server.requested == ["/"]
    assert not re.search(r":CONSOLE", done.stderr), done.stderr
    assert done.stdout.count("<svg") == page(hostile).count("<svg") >= 8
    assert "<script" not in done.stdout and "<img" not in done.stdout
