"""The page while a run goes on: made anew when there is more to show, and shown where the reader was."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import expect

from matrix.store import LOCK, open_run
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


def test_a_link_with_a_state_opens_with_it_and_the_address_bar_follows_what_is_shown(served: Served, chromium: str) -> None:
    write(served.rows, row("micro/second"))
    served.maker.make()
    with watching(chromium) as watched:
        watched.context.set_offline(False)
        page = watched.page
        page.goto(f"http://{serve.ADDRESS}:{served.port}/#matrix?q=second")
        inside = page.frame_locator("#page")
        expect(inside.locator(".tabulator-row")).to_have_count(1)
        expect(inside.locator("#filter-q")).to_have_value("second")
        inside.locator("#filter-q").fill("first")
        expect(page).to_have_url(re.compile(r"/#matrix\?q=first$"))
        page.reload()
        expect(inside.locator("#filter-q")).to_have_value("first")
        expect(inside.locator(".tabulator-row .line-name b")).to_have_text(["micro/first"])
        inside.locator(".tabulator-row a.entry").first.click()
        expect(page).to_have_url(re.compile(r"/#cell\?w=micro%2Ffirst&"))
        page.evaluate("location.hash = '#matrix?q=sec'")
        expect(inside.locator(".tabulator-row .line-name b")).to_have_text(["micro/second"])
        page.go_back()
        expect(inside.locator("#cell-title")).to_have_text("micro/first")
        expect(page).to_have_url(re.compile(r"/#cell\?w=micro%2Ffirst&"))
        assert watched.messages == []


def test_what_a_reader_was_looking_at_survives_that_the_page_is_made_anew(served: Served, chromium: str) -> None:
    write(served.rows, *(row(f"micro/more_{number:02d}") for number in range(60)))
    served.maker.make()
    with watching(chromium) as watched:
        watched.context.set_offline(False)
        watched.page.goto(f"http://{serve.ADDRESS}:{served.port}/")
        inside = watched.page.frame_locator("#page")
        inside.locator("nav a[href='#matrix']").click()
        inside.locator("#filter-q").fill("more")
        expect(inside.locator("#matrix-count")).to_contain_text("60 of 61 lines")
        inside.locator(".tabulator-tableholder").evaluate("holder => holder.scrollTo(0, 400)")
        inside.locator("#filter-q").evaluate("field => field.setSelectionRange(2, 2)")
        write(served.rows, row("micro/more_61"))
        expect(inside.locator("#matrix-count")).to_contain_text("61 of 62 lines", timeout=30_000)
        expect(inside.locator("#filter-q")).to_be_focused()
        assert inside.locator("#filter-q").evaluate("field => field.selectionStart") == 2
        assert inside.locator(".tabulator-tableholder").evaluate("holder => holder.scrollTop") == pytest.approx(400, abs=40)
        assert watched.messages == []


def test_a_run_that_has_ended_is_said_and_the_server_goes_on_answering(served: Served, chromium: str) -> None:
    with watching(chromium) as watched:
        watched.context.set_offline(False)
        watched.page.goto(f"http://{serve.ADDRESS}:{served.port}/")
        expect(watched.page.locator("#state")).to_contain_text("rows are missing")
        (served.rows.parent / LOCK).touch()
        with open_run(served.rows.parent):
            write(served.rows, row("micro/second"), row("micro/third"))
            expect(watched.page.locator("#state")).to_contain_text("Live: ", timeout=30_000)
        expect(watched.page.locator("#state")).to_contain_text("The run has ended", timeout=30_000)
        write(served.rows, row("micro/fourth"))
        expect(watched.page.frame_locator("#page").locator("body")).to_contain_text("4 rows", timeout=30_000)
        assert watched.messages == []


def test_the_file_itself_asks_for_nothing(served: Served, watched: Watched) -> None:
    watched.open(served.maker.output)
    watched.assert_quiet()
