"""The live picture and its controls in a browser: MJPEG, and JSON for programs.

    GET  /              a page with the picture and the controls
    GET  /stream        the live picture, as MJPEG
    GET  /snapshot.jpg  the latest picture
    GET  /controls      settings, styles, actions and status figures, as JSON
    POST /controls      {"strength": 0.5, "action": "next_style"} changes them;
                        {"weights": {"ink": 0.5, "wave": 0.5}} mixes styles of one model: those
                        whose numbers in "bundles" are equal

Whoever can reach it controls it. So it listens to this machine alone; elsewhere a token is needed.
"""

import contextlib
import dataclasses
import hmac
import importlib.resources
import ipaddress
import json
import os
import secrets
import socket
import socketserver
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, quote, urlsplit

import cv2
import numpy as np

from jaxstyle.errors import UserError
from jaxstyle.media.film import Frame
from jaxstyle.realtime.controls import ACTIONS, Controls

_MOST_STREAMS = 16
# Streams, and what else is asked for while they run.
_MOST_CONNECTIONS = 64
_MOST_BODY_BYTES = 4096
_CLIENT_TIMEOUT = 10.0
# What the system buffers for a slow client is seen late: two or three pictures.
_SEND_BUFFER_BYTES = 256 * 1024
# While no picture comes, the last one is sent again: it finds out which clients are gone.
_REPEAT_SECONDS = 2.0
_JPEG_QUALITY = 85
_BOUNDARY = b"--picture\r\n"

_SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    # The address may hold the token.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; connect-src 'self'; script-src 'unsafe-inline'; "
        "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}


class HttpSink:
    """Shows pictures, and takes orders, over HTTP, from the moment it is made.

    address: (host, port) to listen on; port 0 is any free one. token: what every request must
    then present, as `?token=` or `Authorization: Bearer`; None is no token on a loopback address,
    and a random one on any other. status: gives figures that JSON can hold, from any thread.

    url: where the page is, token included. Raises `UserError` if the address cannot be used.
    """

    live = True

    def __init__(
        self,
        controls: Controls,
        address: tuple[str, int] = ("127.0.0.1", 8000),
        token: str | None = None,
        *,
        status: Callable[[], dict],
    ):
        self._picture = LatestPicture()
        self._server = _Server(address, token, controls, self._picture, status)
        self.url = self._server.url
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="http", daemon=True
        )
        self._thread.start()
        print(f"watching and controls: {self.url}", file=sys.stderr)

    def write(self, frame: Frame) -> None:
        """Makes the picture, of any size, the latest one; it must not change afterwards."""
        self._picture.put(frame.rgb)

    def finish(self) -> None:
        """Nothing is left to complete: what was written has been seen."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._picture.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class LatestPicture:
    """The newest picture for any number of watchers, encoded once, when the first one asks."""

    def __init__(self):
        self._changed = threading.Condition()
        self._encoding = threading.Lock()
        self.closed = False
        self._rgb: np.ndarray | None = None
        self._number = 0
        self._encoded: tuple[int, bytes] = 0, b""

    def put(self, rgb: np.ndarray) -> None:
        """Takes uint8 [H, W, 3]; costs the caller nothing else."""
        with self._changed:
            self._rgb = rgb
            self._number += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Sets `closed`: from now on nobody waits."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def jpeg(self, after: int = 0, timeout: float = 0.0) -> tuple[int, bytes] | None:
        """The newest picture and its number, counted from 1; None if there is none yet.

        Waits up to `timeout` seconds for one with a number above `after`.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.closed or self._number > after, timeout)
        with self._encoding:
            with self._changed:
                number, rgb = self._number, self._rgb
            if rgb is None:
                return None
            if self._encoded[0] != number:
                bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
                _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
                self._encoded = number, data.tobytes()
            return self._encoded


class _Server(ThreadingHTTPServer):
    """A thread per connection, not more than `_MOST_CONNECTIONS`; what handlers share."""

    daemon_threads = True
    # On Windows either would let two servers have the same port.
    allow_reuse_address = os.name != "nt"
    allow_reuse_port = False

    def __init__(
        self,
        address: tuple[str, int],
        token: str | None,
        controls: Controls,
        picture: LatestPicture,
        status: Callable[[], dict],
    ):
        self.controls = controls
        self.picture = picture
        self.status = status
        self.page = (
            importlib.resources.files(__package__).joinpath("control_page.html").read_bytes()
        )
        self.streams = threading.BoundedSemaphore(_MOST_STREAMS)
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        host, port = address
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            self.address_family, _, _, _, (ip, _, *scope) = found[0]
            bound: Any = (ip, port, *scope)  # two of IPv4, four of IPv6
            super().__init__(bound, _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(
                f"cannot serve on {host}, port {port}: {reason}; "
                "name a free port, 0 for any, on an address of this machine"
            ) from error
        self.is_loopback = ipaddress.ip_address(ip).is_loopback
        self.token = token or (None if self.is_loopback else secrets.token_urlsafe(16))
        everywhere = ipaddress.ip_address(ip).is_unspecified
        shown = socket.gethostname() if everywhere else host
        shown = f"[{shown}]" if ":" in shown else shown
        query = f"?token={quote(self.token, safe='')}" if self.token else ""
        self.url = f"http://{shown}:{self.server_address[1]}/{query}"

    def server_bind(self) -> None:
        # The one of HTTPServer also asks the name service for this machine's name, for seconds
        # where there is none.
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: tuple) -> None:
        with self._lock:
            accepted = len(self._connections) < _MOST_CONNECTIONS
            if accepted:
                self._connections.add(request)
        if accepted:
            super().process_request(request, client_address)
        else:
            request.sendall(b"HTTP/1.0 503 Service Unavailable\r\n\r\n")
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):  # the client may have been faster
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: tuple) -> None:
        # A client that goes away, or is too slow, is nobody's error.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Refused(Exception):
    """The request gets `status`, and a line that says why, as its answer."""

    def __init__(self, status: HTTPStatus, reason: str):
        super().__init__(reason)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: _Server
    server_version = "jaxstyle"
    sys_version = ""
    timeout = _CLIENT_TIMEOUT

    def do_GET(self) -> None:
        pages = {
            "/": self._send_page,
            "/stream": self._send_stream,
            "/snapshot.jpg": self._send_snapshot,
            "/controls": self._send_controls,
        }
        self._answer(pages)

    def do_POST(self) -> None:
        self._answer({"/controls": self._change_controls})

    def log_message(self, *_: object) -> None:
        """Keeps requests, whose addresses may hold the token, out of the terminal."""

    def _answer(self, pages: dict[str, Callable[[], None]]) -> None:
        path, _, self._query = self.path.partition("?")
        try:
            # Ahead of any refusal: closing a connection on unread bytes may lose the answer.
            self._body = self._read_body() if self.command == "POST" else b""
            self._check_host()
            self._check_token()
            page = pages.get(path)
            if page is None:
                raise _Refused(HTTPStatus.NOT_FOUND, "there is no such page")
            page()
        except _Refused as refused:
            self._send_json({"error": str(refused)}, refused.status)

    def _check_host(self) -> None:
        """Refuses names that a foreign page has had resolved to this machine (DNS rebinding)."""
        if self.server.is_loopback and not _is_loopback_name(self.headers.get("Host", "")):
            raise _Refused(HTTPStatus.FORBIDDEN, "this server answers to localhost only")

    def _check_token(self) -> None:
        if self.server.token is None:
            return
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            given = parse_qs(self._query).get("token", [""])[0]
        if not hmac.compare_digest(given.encode(), self.server.token.encode()):
            raise _Refused(
                HTTPStatus.UNAUTHORIZED,
                "a token is needed: the address printed at the start has it",
            )

    def _send_page(self) -> None:
        self._send(self.server.page, "text/html; charset=utf-8")

    def _send_snapshot(self) -> None:
        latest = self.server.picture.jpeg()
        if latest is None:
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, "there is no picture yet")
        self._send(latest[1], "image/jpeg")

    def _send_stream(self) -> None:
        if not self.server.streams.acquire(blocking=False):
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"{_MOST_STREAMS} are watching already")
        try:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
            self._send_headers("multipart/x-mixed-replace; boundary=picture")
            self.wfile.write(_BOUNDARY)
            number = 0
            while not self.server.picture.closed:
                latest = self.server.picture.jpeg(after=number, timeout=_REPEAT_SECONDS)
                if latest is not None:
                    number, jpeg = latest
                    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    # Browsers show a picture once they see the boundary that follows it.
                    self.wfile.write(head.encode() + jpeg + b"\r\n" + _BOUNDARY)
        finally:
            self.server.streams.release()

    def _send_controls(self) -> None:
        controls = self.server.controls
        self._send_json(
            {
                "settings": dataclasses.asdict(controls.settings),
                "styles": controls.styles,
                "bundles": controls.bundles,
                "actions": tuple(ACTIONS),
                "status": self.server.status(),
            }
        )

    def _change_controls(self) -> None:
        self._check_origin()
        changes = self._requested_changes()
        action = changes.pop("action", None)
        try:
            # Before anything is changed: all of a request is obeyed, or nothing.
            if action is not None and action not in tuple(ACTIONS):
                raise UserError(f"no action {action!r}; there are: {', '.join(ACTIONS)}")
            self.server.controls.change(changes)
            if action is not None:
                self.server.controls.act(action)
        except UserError as error:
            raise _Refused(HTTPStatus.BAD_REQUEST, str(error)) from error
        self._send_json(dataclasses.asdict(self.server.controls.settings))

    def _check_origin(self) -> None:
        """Refuses what a page from elsewhere makes a browser send (CSRF)."""
        origin = self.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != self.headers.get("Host"):
            raise _Refused(HTTPStatus.FORBIDDEN, "only this server's own page may change controls")

    def _read_body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()):
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "send a Content-Length")
        if len(length) > 9 or int(length) > _MOST_BODY_BYTES:
            raise _Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"send at most {_MOST_BODY_BYTES} bytes"
            )
        return self.rfile.read(int(length))

    def _requested_changes(self) -> dict:
        if self.headers.get_content_type() != "application/json":
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send Content-Type: application/json")
        try:
            changes = json.loads(self._body)
        except (ValueError, RecursionError) as error:
            raise _Refused(HTTPStatus.BAD_REQUEST, "the body is no valid JSON") from error
        if not isinstance(changes, dict):
            raise _Refused(HTTPStatus.BAD_REQUEST, 'send a JSON object such as {"strength": 0.5}')
        return changes

    def _send_json(self, content: dict, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(json.dumps(content).encode(), "application/json", status)

    def _send(self, body: bytes, content_type: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send_headers(content_type, status, {"Content-Length": str(len(body))})
        self.wfile.write(body)

    def _send_headers(
        self,
        content_type: str,
        status: HTTPStatus = HTTPStatus.OK,
        more: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        for name, value in {**_SECURITY_HEADERS, **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()


def _is_loopback_name(host: str) -> bool:
    """Whether the value of a Host header names this machine; a tunnel may have another port."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
