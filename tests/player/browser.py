"""A web server for one ladder, and a headless Chromium that listens to it."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.requirements import missing

HERE = Path(__file__).parent
HLS_JS = HERE / "node_modules" / "hls.js" / "dist" / "hls.min.js"
TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".ts": "video/mp2t",
    ".m4a": "audio/mp4",
    ".json": "application/json",
    ".js": "text/javascript",
    ".html": "text/html",
}
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required"),
)
PATIENCE_S = 120.0

Story = dict[str, Any]


class LadderServer(ThreadingHTTPServer):
    """Serves the page, hls.js and the ladder on a free loopback port; takes the page's story."""

    daemon_threads = True

    def __init__(self, ladder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ladder = ladder
        self.requested: list[str] = []
        self.told: queue.Queue[Story] = queue.Queue()
        self.so_far: Story = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class _Handler(BaseHTTPRequestHandler):
    server: LadderServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self._path()
        self.server.requested.append(self.path)
        if path is None:
            return self._answer(403, b"", "text/plain")
        if not path.is_file():
            return self._answer(404, b"", "text/plain")
        return self._answer(200, path.read_bytes(), TYPES[path.suffix])

    def do_POST(self) -> None:
        story = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/result":
            self.server.told.put(story)
        self.server.so_far = story
        self._answer(204, b"", "text/plain")

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output to itself."""

    def _path(self) -> Path | None:
        name = unquote(urlsplit(self.path).path)
        if name == "/":
            return HERE / "player.html"
        if name == "/hls.js":
            return HLS_JS
        if name.startswith("/ladder/"):
            path = (self.server.ladder / name.removeprefix("/ladder/")).resolve()
            return path if path.is_relative_to(self.server.ladder.resolve()) else None
        return None

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(ladder: Path) -> Iterator[LadderServer]:
    """Serve the ladder's folder until the context is left."""
    with LadderServer(ladder) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def listen(server: LadderServer, profile: Path) -> Story:
    """Open the page in Chromium and return its story; skips where there is no Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        missing("no Chromium: `make browser` installs it where it may")
    if not HLS_JS.is_file():
        missing("no hls.js: `make browser` installs it where npm may")
    process = subprocess.Popen(
        [chromium, *FLAGS, f"--user-data-dir={profile}", server.url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        return server.told.get(timeout=PATIENCE_S)
    except queue.Empty:
        raise AssertionError(f"the player did not get through: {server.so_far}") from None
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
