"""Turns of launches: one works at a time, who is furthest behind has the next turn, and nobody waits for one that is gone."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import turns as harness_turns
from harness.process import Stopped
from harness.turns import BEGINNING, Place, Slices, connect, message, parse
from matrix.turns import Turns
from tests.unit.turning import Diary, own_sockets

__all__ = ["own_sockets"]

Work = Callable[[harness_turns.Turns], None]


@contextmanager
def host(folder: Path, count: int, seed: str = "1") -> Iterator[tuple[Turns, list[Path]]]:
    folders = [folder / str(index) for index in range(count)]
    for each in folders:
        each.mkdir()
    with Turns(folders, seed) as turns:
        yield turns, folders


def take_part(turns: Turns, folders: Sequence[Path], works: Sequence[Work]) -> list[BaseException | None]:
    """Each launch in a thread of its own, until all are done; what each raised."""
    raised: list[BaseException | None] = [None] * len(works)

    def launch(index: int) -> None:
        line = connect(folders[index])
        try:
            works[index](line)
        except BaseException as error:  # noqa: BLE001  # the test looks at it
            raised[index] = error
        finally:
            line.close()
            turns.leave(index)

    threads = [threading.Thread(target=launch, args=(index,)) for index in range(len(works))]
    for index, thread in enumerate(threads):
        thread.start()
        turns.wait_for(index)
    turns.begin()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    return raised


def through(diary: Diary, name: str, places: Sequence[Place]) -> Work:
    def work(line: harness_turns.Turns) -> None:
        for place in places:
            line.wait(place)
            diary.work(name, place)

    return work


def test_a_message_is_read_as_it_was_written() -> None:
    assert parse(message(7, Place(3, 12))) == (7, Place(3, 12))
    for text in (b"", b"1 2", b"a b c", b"1 2 3 4"):
        with pytest.raises(ValueError):
            parse(text)


def test_one_works_at_a_time_and_all_have_a_slice_before_one_has_the_next(tmp_path: Path) -> None:
    places = [Place(cell, which) for cell in range(2) for which in range(5)]
    diary = Diary()
    with host(tmp_path, 3) as (turns, folders):
        raised = take_part(turns, folders, [through(diary, name, places) for name in "abc"])
    assert raised == [None] * 3
    rounds = [diary.entries[index : index + 3] for index in range(0, len(diary.entries), 3)]
    assert [{place for _, place in each} for each in rounds] == [{place} for place in places]
    orders = {"".join(name for name, _ in each) for each in rounds}
    assert {"".join(sorted(order)) for order in orders} == {"abc"}
    assert len(orders) > 1, "chance says who is first"


def test_the_order_is_that_of_the_seed(tmp_path: Path) -> None:
    def order_of(folder: Path, seed: str) -> list[str]:
        folder.mkdir()
        diary = Diary()
        with host(folder, 2, seed) as (turns, folders):
            take_part(turns, folders, [through(diary, name, [Place(0, which) for which in range(12)]) for name in "ab"])
        return [name for name, _ in diary.entries]

    assert order_of(tmp_path / "one", "1") == order_of(tmp_path / "two", "1")
    assert order_of(tmp_path / "three", "1") != order_of(tmp_path / "four", "2")


def test_one_that_has_fewer_slices_waits_for_the_other_at_the_next_cell(tmp_path: Path) -> None:
    diary = Diary()
    short = [Place(0, BEGINNING), Place(1, BEGINNING)]
    long = [Place(0, BEGINNING), Place(0, 1), Place(0, 2), Place(1, BEGINNING)]
    with host(tmp_path, 2) as (turns, folders):
        take_part(turns, folders, [through(diary, "short", short), through(diary, "long", long)])
    assert [place for _, place in diary.entries] == [Place(0, 0), Place(0, 0), Place(0, 1), Place(0, 2), Place(1, 0), Place(1, 0)]


def test_one_that_is_gone_keeps_nobody_waiting(tmp_path: Path) -> None:
    diary = Diary()

    def dies(line: harness_turns.Turns) -> None:
        line.wait(Place(0, BEGINNING))
        raise RuntimeError("planted")

    places = [Place(cell, which) for cell in range(3) for which in range(3)]
    with host(tmp_path, 2) as (turns, folders):
        raised = take_part(turns, folders, [dies, through(diary, "lives", places)])
    assert [type(error) for error in raised] == [RuntimeError, type(None)]
    assert [place for _, place in diary.entries] == places


def test_one_that_says_what_is_no_place_is_sent_away(tmp_path: Path) -> None:
    diary = Diary()

    def babbles(line: harness_turns.Turns) -> None:
        line.wait(Place(0, BEGINNING))
        os.write(line.fileno(), b"nonsense")
        line.wait(Place(0, 1))

    with host(tmp_path, 2) as (turns, folders):
        raised = take_part(turns, folders, [babbles, through(diary, "lives", [Place(0, 0), Place(0, 1)])])
    assert isinstance(raised[0], Stopped | OSError)
    assert [place for _, place in diary.entries] == [Place(0, 0), Place(0, 1)]


def test_when_the_host_goes_away_launches_are_stopped(tmp_path: Path) -> None:
    stopped = threading.Event()

    def waits() -> None:
        line = connect(tmp_path / "0")
        with pytest.raises(Stopped, match="the host went away"):
            line.wait(Place(0, BEGINNING))
        stopped.set()

    with host(tmp_path, 2) as (turns, _):
        thread = threading.Thread(target=waits)
        thread.start()
        turns.wait_for(0)
    thread.join(10)
    assert stopped.is_set()


def test_time_that_others_have_is_not_the_launchs_own(tmp_path: Path) -> None:
    """Also as the launch sees it while a process of its cell waits: the cell's time limit is one of its own time."""
    seen: dict[str, float] = {}

    def slow(line: harness_turns.Turns) -> None:
        line.wait(Place(0, BEGINNING))
        line.wait(Place(0, 1))
        time.sleep(0.4)

    def waits(line: harness_turns.Turns) -> None:
        line.wait(Place(0, BEGINNING))
        slices = Slices(line, 0, 0.05)
        before, began = slices.now(), time.monotonic()
        child = os.fork()
        if child == 0:
            slices.next()
            slices.next()
            os._exit(0)
        # The other one works for 0.4 s of this.
        time.sleep(0.2)
        seen["meanwhile"] = line.waited_seconds()
        os.waitpid(child, 0)
        seen["own"], seen["wall"] = slices.now() - before, time.monotonic() - began

    with host(tmp_path, 2) as (turns, folders):
        assert take_part(turns, folders, [slow, waits]) == [None, None]
    assert seen["meanwhile"] > 0.1
    assert seen["own"] < seen["wall"] - 0.3


def test_a_run_may_lie_deep(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 30)
    folder.mkdir()
    with Turns([folder], "1") as turns:
        line = connect(folder)
        turns.begin()
        line.wait(Place(0, BEGINNING))
        line.close()
        turns.leave(0)
