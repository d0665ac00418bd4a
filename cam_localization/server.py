"""`localize.py --serve`: a page on which pictures are dropped, and the network's answers. Nothing is written.

Whoever can reach the address may ask; so it is this machine's own unless told otherwise, and
a page of another site cannot: `Host` and `Origin` must be the server's, or allowed. docs/serving.md says what is asked and answered.
"""

import contextlib
import json
import os
import re
import socket
import tempfile
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote

import cam_data
import cam_report
from cam_base import InputError, first_line
from cam_base.growing import json_bytes
from cam_base.terminal import printable, say, warn
from .drawing import describe

LARGEST = 32_000_000  # bytes of an upload
PIXELS = 50_000_000  # of a picture, at most
PATIENCE = 30  # seconds for a picture to arrive
LINGERING = 2  # seconds that are waited for more of what was refused
AT_A_TIME = 2  # pictures that are looked at; others wait
ARRIVING = 8  # pictures that are in memory; others are not read yet
MOST_CLASSES = 20  # that are asked for of a picture
WAITING = 128  # connections that nobody has taken yet; more are reset
# What a browser may say that an address is called: NAME or NAME:PORT, IPv6 in brackets.
NAME = re.compile(r"([a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(:[0-9]{1,5})?")
FOREIGN = "asked by another page, or under another name than the server's own"
HTML, JSON = "text/html; charset=utf-8", "application/json"


class Server(ThreadingHTTPServer):
    """Answers for a Localizer.

    look     a function of pixels, uint8 [H, W, 3], and the names of classes that are asked for, or [], to a `localization.Result`
    page     the bytes of the page
    pixels   of a picture, at most
    allowed  names under which it is reached besides its own, behind a tunnel or a proxy: NAME (with any port) or NAME:PORT
    """

    daemon_threads = True
    request_queue_size = WAITING
    # Elsewhere it lets a server begin again at once; on Windows it would let two have one port.
    allow_reuse_address = not hasattr(socket, "SO_EXCLUSIVEADDRUSE")

    def __init__(self, host, port, look, page, pixels=PIXELS, allowed=()):
        self.look, self.page, self.pixels = look, page, pixels
        self.allowed = {checked_name(name) for name in allowed}
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

    def allows(self, name):
        """Whether it may be reached under a name that is not its own, with or without the port."""
        found = NAME.fullmatch(name)
        return bool(found) and not self.allowed.isdisjoint((name, found[1]))

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


def checked_name(name):
    """A name of --allow-host as browsers say it; InputError for one that they would never say."""
    lower = name.lower()
    if not NAME.fullmatch(lower):
        raise InputError(f"--allow-host {printable(name)}: it must be a name as it stands in the browser's address, such as localhost:9000 or "
                         "cam.example.org, without http:// and /")
    return lower


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
        path, _, query = self.path.partition("?")
        if path != "/look":
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > 15 or int(length) == 0:
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "no picture, or one of unknown length")
        elif int(length) > LARGEST:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{int(length):,} bytes; at most {LARGEST:,} are read")
        elif self.headers.get_content_maintype() == "multipart":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a form, and not a picture: its bytes alone are sent, as by curl --data-binary @PICTURE")
        else:
            self._look(int(length), parse_qs(query).get("class", []))

    def _look(self, length, classes):
        name = printable(unquote(self.headers.get("X-Picture-Name", ""))[:200]) or "picture"
        try:
            with self.server.arriving:
                contents = self._contents(length)
                began = time.perf_counter()
                with self.server.turns:
                    answer = self._answer_of(name, contents, classes)
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

    def _answer_of(self, name, contents, classes):
        if len(classes) > MOST_CLASSES:
            raise InputError(f"{len(classes)} classes are asked for; at most {MOST_CLASSES} are")
        pixels = cam_data.read_picture(contents, self.server.pixels)
        result = self.server.look(pixels, classes)
        shown = cam_report.shown_of(name, result, pixels)
        encoder = cam_report.Encoder({found.category: found.name for found in result})
        held, item = encoder.encode(shown, cam_report.within_page(shown.picture))
        said = describe(result)
        return {"image": name} | {key: said[key] for key in ("width", "height", "predictions")} | {
            "item": item, "held": held, "names": encoder.names}

    def _trusted(self):
        """Whether the request is of the server's own page; refuses it where it is not, with what would allow it."""
        hosts, host = self.server.hosts, self.headers.get("Host", "").lower()
        origin = self.headers.get("Origin", f"http://{host}").lower()
        page = re.sub("^https?://", "", origin) if origin.startswith("http") else ""
        for name, own in ((host, hosts is None or host in hosts), (page, origin == f"http://{host}"),
                          ("", self.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin"))):
            if not own and not self.server.allows(name):
                cure = f"; where that is {name}, start it with --allow-host {name}" if NAME.fullmatch(name) else ""
                self._refuse(HTTPStatus.FORBIDDEN, FOREIGN + cure)
                return False
        return True

    def _refuse(self, status, message):
        self._answer(status, json.dumps({"error": message}).encode(), JSON)
        self._pass_over()

    def _pass_over(self):
        """Read what was not read, and drop it: a connection that is closed before is reset, and its answer may be lost."""
        until = time.monotonic() + PATIENCE
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGERING)
            while time.monotonic() < until and self.rfile.read1(1 << 16):
                pass

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
