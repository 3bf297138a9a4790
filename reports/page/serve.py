"""The page over HTTP, to this host alone: made anew while its runs grow and somebody looks at it. Where nobody looks, nothing is done.

``/`` is a frame around the page that asks for news; ``/report.html`` is the very file; ``/state`` says whether there is news.
"""

from __future__ import annotations

import datetime
import enum
import json
import threading
import time
import traceback
import urllib.parse
import webbrowser
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from images.errors import UserError
from matrix.store import INCOMING, MANIFEST, RESULTS, SAMPLES, is_abandoned
from reports.load import load
from reports.page.build import build
from reports.page.collect import Collected, collect
from reports.page.model import Page
from reports.page.render import render, render_live, write_page

DEFAULT_PORT = 8750
ADDRESS = "127.0.0.1"
REST_SECONDS = 10.0
"""Between the end of one making and the next: it takes processor time, and a run that goes on is measuring."""
REST_PER_SECOND = 5.0
"""And so many times as long as the last one took."""
WATCHED = (MANIFEST, RESULTS, SAMPLES, "gate.json", "anchor/gate.json", f"{INCOMING}/*/{RESULTS}")

Stamp = tuple[tuple[str, int, int], ...]


class Standing(enum.StrEnum):
    """How it stands with the runs of the page."""

    RUNNING = "running"
    """A command has one of them open, or has left what the page does not show yet."""
    INTERRUPTED = "interrupted"
    """No command has one open, and planned rows are missing."""
    ENDED = "ended"


class PortTaken(UserError):
    """Something else listens where the page was to be served."""

    exit_code = 2


def serve(runs: Sequence[Path], output: Path, *, reference: str, port: int, show: bool) -> int:
    """Until Ctrl-C. Raises a UserError where the runs make no page at all, or the port is taken."""
    maker = Maker(runs, output, reference)
    maker.make()
    try:
        server = ThreadingHTTPServer((ADDRESS, port), handler(maker))
    except OSError as error:
        raise PortTaken(
            f"cannot listen at {ADDRESS}:{port}: {error.strerror}\n  next: another port, or --serve 0 for any that is free"
        ) from None
    address = f"http://{ADDRESS}:{server.server_address[1]}/"
    print(f"page: {output}\nserving: {address} (Ctrl-C ends it)", flush=True)
    if show:
        webbrowser.open(address)
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


class Maker:
    """Makes the page when its runs have changed since it was made last, one at a time."""

    def __init__(self, runs: Sequence[Path], output: Path, reference: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.output = output
        self._runs, self._reference, self._clock = tuple(runs), reference, clock
        self._lock = threading.Lock()
        self._made: Stamp = ()
        self._next = 0.0
        self._version = 0
        self._standing = Standing.RUNNING
        self._error = ""

    def make(self) -> None:
        """Now, whatever has changed."""
        began, stamp = self._clock(), stamp_of(self._runs)
        collected = collect(load(self._runs))
        page = build(collected, datetime.datetime.now().astimezone(), self._reference)
        write_page(self.output, render(page))
        ended = self._clock()
        self._made, self._standing, self._error = stamp, standing_of(collected, page), ""
        self._version += 1
        self._next = ended + max(REST_SECONDS, REST_PER_SECOND * (ended - began))

    def state(self) -> dict[str, object]:
        """What there is now; starts making where that is due."""
        is_old = stamp_of(self._runs) != self._made
        if self._clock() >= self._next and is_old and self._lock.acquire(blocking=False):
            threading.Thread(target=self._make_aside, daemon=True).start()
        standing = Standing.RUNNING if is_old else self._standing
        return {"version": self._version, "making": self._lock.locked(), "standing": standing, "error": self._error}

    def _make_aside(self) -> None:
        try:
            self.make()
        except (UserError, OSError) as error:
            # The page that there is stays; the runs may be whole again soon.
            self._error = str(error)
            self._next = self._clock() + REST_SECONDS
        except Exception as error:  # noqa: BLE001  # whatever a run holds that nobody has thought of: a reader is told, and who serves it has the traceback
            traceback.print_exc()
            self._error = f"the page could not be made: {type(error).__name__}: {error}"
            self._next = self._clock() + REST_SECONDS
        finally:
            self._lock.release()


def standing_of(collected: Collected, page: Page) -> Standing:
    """Of the runs as they were read."""
    if len(collected.abandoned) < len(page.sources):
        return Standing.RUNNING
    missing = any((source.progress.planned or 0) > source.progress.rows for source in page.sources)
    return Standing.INTERRUPTED if missing else Standing.ENDED


def stamp_of(runs: Sequence[Path]) -> Stamp:
    """Of the files that a page is made from: (path, nanoseconds of the last change, bytes); and of a run, whether a command has it open, since one
    that is killed changes no file.
    """
    found = []
    for run in runs:
        if run.is_dir():
            found.append((str(run), 0, int(is_abandoned(run))))
        for path in [found for name in WATCHED for found in sorted(run.glob(name))] if run.is_dir() else [run]:
            try:
                facts = path.stat()
            except OSError:
                continue  # collected, and so removed, between looking and asking
            found.append((str(path), facts.st_mtime_ns, facts.st_size))
    return tuple(found)


def handler(maker: Maker) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # A name that somebody else's page had made to point here is no name of this host.
            path = urllib.parse.urlsplit(self.path).path
            if self.headers.get("Host", "").rpartition(":")[0] not in (ADDRESS, "localhost"):
                self._answer(HTTPStatus.FORBIDDEN, "text/plain", b"only this host is served\n")
            elif path == "/":
                self._answer(HTTPStatus.OK, "text/html; charset=utf-8", render_live().encode())
            elif path == "/report.html":
                self._answer(HTTPStatus.OK, "text/html; charset=utf-8", maker.output.read_bytes())
            elif path == "/state":
                self._answer(HTTPStatus.OK, "application/json", json.dumps(maker.state()).encode())
            else:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"there is /, /report.html and /state\n")

        def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
            self.send_response(status)
            for name, value in (
                ("Content-Type", kind),
                ("Content-Length", str(len(body))),
                ("Cache-Control", "no-store"),
                ("X-Content-Type-Options", "nosniff"),
                ("Content-Security-Policy", "frame-ancestors 'self'"),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # as the base class has it
            """A line per second is no news."""

    return Handler
