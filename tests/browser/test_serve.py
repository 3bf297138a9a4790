"""The page while a run goes on: made anew when there is more to show, and shown where the reader was."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import expect

from reports.page import serve
from tests.browser.watched import Watched, watching
from tests.unit.test_reports import row, write

pytestmark = [pytest.mark.browser]


class Served:
    def __init__(self, folder: Path) -> None:
        self.rows = folder / "results.csv"
        write(self.rows, row("micro/first"))
        (folder / "manifest.json").write_text(json.dumps({"planned_rows": 3, "state": "running"}))
        self.maker = serve.Maker([folder], folder / "report.html", "")
        self.maker.make()
        self.server = ThreadingHTTPServer((serve.ADDRESS, 0), serve.handler(self.maker))
        self.port = self.server.server_address[1]

    def get(self, path: str, host: str | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection(serve.ADDRESS, self.port, timeout=10)
        connection.request("GET", path, headers={"Host": host} if host else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(serve, "REST_SECONDS", 0.0)
    monkeypatch.setattr(serve, "REST_PER_SECOND", 0.0)
    found = Served(tmp_path)
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def state(served: Served) -> dict[str, object]:
    found: dict[str, object] = json.loads(served.get("/state")[1])
    return found


def test_a_page_is_made_anew_when_its_run_has_grown_and_not_before(served: Served) -> None:
    assert state(served)["version"] == 1
    assert state(served)["version"] == 1
    write(served.rows, row("micro/second"))
    deadline = time.monotonic() + 30
    while state(served)["version"] == 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert state(served)["version"] == 2
    assert "has 2 of 3 rows" in served.get("/report.html")[1]


def test_a_run_that_does_not_read_leaves_the_page_as_it_was_and_says_so(served: Served) -> None:
    before = served.get("/report.html")[1]
    served.rows.unlink()
    (served.rows.parent / "manifest.json").unlink()
    served.maker._runs = (served.rows,)
    deadline = time.monotonic() + 30
    while not state(served)["error"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "there is no" in str(state(served)["error"])
    assert served.get("/report.html")[1] == before


def test_only_this_host_is_served_and_only_what_there_is(served: Served) -> None:
    assert served.get("/state", host="somebody.example:80")[0] == 403
    assert served.get("/state", host=f"localhost:{served.port}")[0] == 200
    assert served.get("/../manifest.json")[0] == 404
    assert served.get("/manifest.json")[0] == 404


def test_a_port_that_is_taken_is_said(served: Served) -> None:
    with pytest.raises(serve.PortTaken, match="next: another port"):
        serve.serve([served.rows], served.maker.output, reference="", port=served.port, show=False)


def test_a_reader_sees_what_is_new_in_the_view_they_were_in(served: Served, chromium: str) -> None:
    with watching(chromium) as watched:
        watched.context.set_offline(False)
        watched.page.goto(f"http://{serve.ADDRESS}:{served.port}/")
        inside = watched.page.frame_locator("#page")
        inside.locator("nav a[href='#matrix']").click()
        expect(inside.locator(".tabulator-row")).to_have_count(1)
        write(served.rows, row("micro/second"))
        expect(inside.locator(".tabulator-row")).to_have_count(2, timeout=30_000)
        expect(inside.locator(".progress")).to_contain_text("2 of 3 rows")
        assert watched.messages == []
        assert all(url.startswith((f"http://{serve.ADDRESS}:{served.port}/", "data:")) for url in watched.requests)


def test_the_file_itself_asks_for_nothing(served: Served, watched: Watched) -> None:
    watched.open(served.maker.output)
    watched.assert_quiet()
