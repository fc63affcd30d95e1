"""A web server in a thread that misbehaves as told."""

import re
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer:
    """Serves `files`, by path. A fault of a path is used up by one request, in their order.

    Faults: an int n ends the answer after n bytes; ("status", code) answers so; "no range" sends
    the whole file though a part was asked for; ("bytes", content) sends other bytes; "no length"
    does not tell the size, and ("no length", n) ends after n bytes as well; ("redirect", url)
    sends the client there; ("slow", n, seconds) waits before each n bytes; ("stall", n) sends n
    bytes and then nothing for a while; ("range", header) claims to send another part.
    """

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.passwords: list[str | None] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{path}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self):
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                owner.answer(self)

            def log_message(self, *_):
                pass

        return Handler

    def answer(self, request) -> None:
        path, part = request.path.strip("/"), request.headers.get("Range")
        self.requests.append((path, part))
        self.passwords.append(request.headers.get("Authorization"))
        faults = self.faults.get(path, [])
        fault = faults.pop(0) if faults else None
        kind = fault[0] if isinstance(fault, tuple) else fault
        content = fault[1] if kind == "bytes" else self.files.get(path)
        if kind == "status" or content is None:
            request.send_error(fault[1] if kind == "status" else 404)
            return
        if kind == "redirect":
            request.send_response(302)
            request.send_header("Location", fault[1])
            request.end_headers()
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", part)[1]) if part and kind != "no range" else 0
        if part and kind != "no range" and start >= len(content):
            request.send_error(416)
            return
        request.send_response(206 if part and kind != "no range" else 200)
        if part and kind != "no range":
            claimed = fault[1] if kind == "range" else f"bytes {start}-{len(content) - 1}"
            request.send_header("Content-Range", f"{claimed}/{len(content)}")
        if kind != "no length":
            request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        with suppress(ConnectionError):  # the client has gone
            self._send(request, content[start:], fault, kind)

    @staticmethod
    def _send(request, content, fault, kind) -> None:
        if isinstance(fault, int):
            request.wfile.write(content[:fault])
        elif kind == "no length" and fault != kind:
            request.wfile.write(content[: fault[1]])
        elif kind == "slow":
            for begin in range(0, len(content), fault[1]):
                time.sleep(fault[2])
                request.wfile.write(content[begin : begin + fault[1]])
        elif kind == "stall":
            request.wfile.write(content[: fault[1]])
            time.sleep(1)
        else:
            request.wfile.write(content)
