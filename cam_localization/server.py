"""`localize.py --serve`: a page on which pictures are dropped, and the network's answers. Nothing is written.

Whoever can reach the address may ask; so it is this machine's own unless told otherwise, and
a page of another site cannot: `Host` and `Origin` must be the server's.
"""

import json
import os
import socket
import tempfile
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import cam_data
import cam_report
from cam_base import InputError, first_line
from cam_base.growing import json_bytes
from cam_base.terminal import printable, say, warn

LARGEST = 32_000_000  # bytes of an upload
PIXELS = 50_000_000  # of a picture, at most
PATIENCE = 30  # seconds for a picture to arrive
AT_A_TIME = 2  # pictures that are looked at; others wait
ARRIVING = 8  # pictures that are in memory; others are not read yet
HTML, JSON = "text/html; charset=utf-8", "application/json"


class Server(ThreadingHTTPServer):
    """Answers for a Localizer.

    look  a function of pixels, uint8 [H, W, 3], to a `localization.Result`
    page  the bytes of the page
    """

    daemon_threads = True

    def __init__(self, host, port, look, page, pixels=PIXELS):
        self.look, self.page, self.pixels = look, page, pixels
        self.turns, self.arriving = threading.Semaphore(AT_A_TIME), threading.Semaphore(ARRIVING)
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), Handler)
        except (OSError, OverflowError) as error:
            raise InputError(f"--serve {port} --host {host}: cannot be listened on ({getattr(error, 'strerror', None) or error}); "
                             "choose another") from None
        port = self.server_address[1]
        self.hosts = names_of(host, port)
        self.address = f"http://{in_address(host)}:{port}/"

    def handle_error(self, request, client_address):
        """A connection that ended early is no news."""


def in_address(host):
    """As a host stands in an address: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def names_of(host, port):
    """What `Host` may say in a request to this address: of port 80, browsers leave the number out. None: anything."""
    if host in ("0.0.0.0", "::"):
        return None
    names = {"127.0.0.1", "localhost"} if host in ("127.0.0.1", "localhost") else {in_address(host.lower())}
    return {f"{name}:{port}" for name in names} | (names if port == 80 else set())


class Handler(BaseHTTPRequestHandler):
    timeout = PATIENCE

    def do_GET(self):
        if not self._trusted():
            return
        if self.path == "/":
            self._answer(HTTPStatus.OK, self.server.page, HTML)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")

    def do_POST(self):
        if not self._trusted():
            return
        if self.path != "/look":
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > 15 or int(length) == 0:
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "no picture, or one of unknown length")
        elif int(length) > LARGEST:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{int(length):,} bytes; at most {LARGEST:,} are read")
        else:
            self._look(int(length))

    def _look(self, length):
        name = printable(unquote(self.headers.get("X-Picture-Name", ""))[:200]) or "picture"
        try:
            with self.server.arriving:
                contents = self._contents(length)
                began = time.perf_counter()
                with self.server.turns:
                    answer = self._answer_of(name, contents)
        except ValueError as error:  # of which InputError is one
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(error).removeprefix("these bytes: "))
            return
        except ConnectionError:  # the page is closed
            raise
        except Exception as error:
            # Of this picture alone; who started the server is told, too.
            warn(f"localize.py: {name}: {type(error).__name__}: {first_line(error)}")
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {first_line(error)}")
            return
        answer["seconds"] = time.perf_counter() - began
        self._answer(HTTPStatus.OK, json_bytes(answer, None), JSON)

    def _contents(self, length):
        """The bytes of a picture; InputError where they do not come in time, however steadily."""
        parts, left, until = [], length, time.monotonic() + PATIENCE
        while left:
            part = self.rfile.read1(min(left, 1 << 16))
            if not part or time.monotonic() > until:
                raise InputError("the picture ended early, or took too long to arrive")
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def _answer_of(self, name, contents):
        pixels = cam_data.read_picture(contents, self.server.pixels)
        result = self.server.look(pixels)
        encoder, shown = cam_report.Encoder(), cam_report.shown_of(name, result, pixels)
        held, item = encoder.encode(shown, cam_report.within_page(shown.picture))
        return {"item": item, "held": held, "names": encoder.names}

    def _trusted(self):
        """Whether the request is of the server's own page; refuses it where it is not."""
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        known = self.server.hosts is None or host.lower() in self.server.hosts
        own = origin is None or origin.lower() == f"http://{host.lower()}"
        if not known or not own or self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            self._refuse(HTTPStatus.FORBIDDEN, "asked by another page, or under another name than the server's own")
            return False
        return True

    def _refuse(self, status, message):
        self._answer(status, json.dumps({"error": message}).encode(), JSON)

    def _answer(self, status, body, kind):
        self.close_connection = True  # what was not read of a request is no next one
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))), ("X-Content-Type-Options", "nosniff"),
                            ("Cache-Control", "no-store"), ("Cross-Origin-Resource-Policy", "same-origin"), ("X-Frame-Options", "DENY")):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing: the page says what happens."""


def page_to_serve(title, about):
    """The bytes of a report without pictures, that asks for some."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "page.html")
        with cam_report.PageWriter(path, title) as page:
            page.finish(about, serve=LARGEST)
        with open(path, "rb") as file:
            return file.read()


def serve(server):
    """Answer until Ctrl-C."""
    say(f"Drop pictures on {server.address} (Ctrl-C ends it)")
    try:
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        say("ended")
    finally:
        server.server_close()
