"""An HTTP proxy that writes down every request and misbehaves when told to.

It stands before a real server (SigV4 signs the Host header, so that is passed on as it came)
and does to the next requests what ``inject`` says, then passes on again.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

CHUNK_BYTES = 64 * 1024
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "te", "upgrade"}


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    """Names in lower case."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer this in the server's stead."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def s3_error(status: int, code: str) -> Answer:
    """An error as S3 words it."""
    xml = f"<Error><Code>{code}</Code><Message>told to by a test</Message></Error>"
    return Answer(status, xml.encode(), {"Content-Type": "application/xml"})


@dataclass(frozen=True, slots=True)
class Late:
    """Pass the request on as it came, but not before ``until`` returns."""

    until: Callable[[], object] = field(repr=False)


Fault = Answer | Late | Literal["reset", "half", "short", "lost", "stall"]
"""reset: RST at once · half: the server's answer, cut in the middle · short: half the body under
a Content-Length that fits it · lost: the server does it and the answer is dropped · stall: no
answer until the proxy stops."""

Condition = Callable[[Seen], bool]


class FlakyProxy:
    """What a test sees of the proxy."""

    def __init__(self, upstream_url: str) -> None:
        upstream = urlsplit(upstream_url)
        assert upstream.hostname and upstream.port
        self._upstream = (upstream.hostname, upstream.port)
        self._lock = threading.Lock()
        self._faults: list[tuple[Fault, Condition]] = []
        self._seen: list[Seen] = []
        self.weather: Callable[[Seen], Fault | None] = lambda _: None
        """Asked about every request that no injected fault meets; called on many threads."""
        self.stopping = threading.Event()
        self.url = ""

    @property
    def seen(self) -> list[Seen]:
        """Every request so far."""
        with self._lock:
            return list(self._seen)

    @property
    def pending(self) -> int:
        """Faults that no request has met yet."""
        with self._lock:
            return len(self._faults)

    def inject(self, *faults: Fault, when: Condition = lambda _: True) -> None:
        """Do these to the next requests that ``when`` accepts, in this order."""
        with self._lock:
            self._faults.extend((fault, when) for fault in faults)

    def meet(self, request: Seen) -> Fault | None:
        """Write the request down and return its fault."""
        with self._lock:
            self._seen.append(request)
            for index, (fault, when) in enumerate(self._faults):
                if when(request):
                    del self._faults[index]
                    return fault
        return self.weather(request)

    def connect(self) -> http.client.HTTPConnection:
        """A connection to the real server."""
        return http.client.HTTPConnection(*self._upstream, timeout=60)


@contextlib.contextmanager
def flaky_proxy(upstream_url: str) -> Iterator[FlakyProxy]:
    """Run a proxy before ``upstream_url`` on a free port."""
    proxy = FlakyProxy(upstream_url)

    class Handler(_Handler):
        pass

    Handler.proxy = proxy
    server = _Server(("127.0.0.1", 0), Handler)
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    # the poll interval is how long shutdown takes
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # kept-alive connections of a client would hold the end up

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients hang up here by design."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FlakyProxy

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: ``seen`` has it all."""

    def _handle(self) -> None:
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        fault = self.proxy.meet(Seen(self.command, url.path, query, headers))
        if fault == "reset":
            self._reset()
        elif fault == "stall":
            self._drain()
            self.proxy.stopping.wait()
            self.close_connection = True
        elif isinstance(fault, Answer):
            self._drain()
            self._send(fault.status, fault.headers, fault.body, len(fault.body))
        elif isinstance(fault, Late):
            body = b"".join(self._body())
            fault.until()
            self._pass_on(headers, None, body)
        else:
            self._pass_on(headers, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815 (http.server's names)

    def _pass_on(
        self, headers: dict[str, str], fault: Fault | None, held: bytes | None = None
    ) -> None:
        with contextlib.closing(self.proxy.connect()) as upstream:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                if name not in HOP_BY_HOP:
                    upstream.putheader(name, value)
            upstream.endheaders()
            for chunk in self._body() if held is None else [held]:
                upstream.send(chunk)
            answer = upstream.getresponse()
            body = answer.read()
        kept = {k: v for k, v in answer.getheaders() if k.lower() not in HOP_BY_HOP}
        if fault == "lost":
            self._reset()
            return
        cut = len(body) // 2 if fault in ("half", "short") else len(body)
        length = cut if fault == "short" else len(body)
        self._send(answer.status, kept, body[:cut], length)
        if fault == "half":
            self.close_connection = True

    def _send(self, status: int, headers: dict[str, str], body: bytes, length: int) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _body(self) -> Iterator[bytes]:
        left = int(self.headers.get("Content-Length") or 0)
        while left and (chunk := self.rfile.read(min(CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk

    def _drain(self) -> None:
        for _ in self._body():
            pass

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)  # close sends RST, not FIN
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
        self.close_connection = True
