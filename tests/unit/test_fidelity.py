"""The benchmark that shows the harness' numbers to be true: its own arithmetic, tables and options. It measures nothing here."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import pytest
import torch

from harness.cell import Cell, LaunchSpec, Sampling
from harness.files import append_rows
from harness.protocols import NoEvidence, Subject, Unsupported
from harness.records import Row
from matrix.engines.engine import PINNED_VARIABLES
from tests import instruments
from tests.benchmarks.fidelity import aa, about, agreement, efficiency, known, memory, modes, planted, table
from tests.benchmarks.fidelity.__main__ import STUDIES, document, parse, write_records
from tests.benchmarks.fidelity.cells import LEFT_OUT, NAMES, names
from tests.benchmarks.fidelity.launches import SOURCE, VARIABLES, LaunchFailed, Place, launch
from tests.benchmarks.fidelity.series import launched, remaining
from tests.benchmarks.fidelity.tables import Table, between, how_many, markdown, near, percent, seconds, spread


def row(cell: Cell, **fields: object) -> Row:
    identity = {"dev": cell.device, "name": cell.workload, "cell": cell.id, "precision": cell.precision, "shapes": cell.shapes}
    return Row(**{"status": "pass", "image": "host", **identity, **fields})  # type: ignore[arg-type]  # fields have their columns' types


def test_a_table_is_markdown_without_its_empty_columns() -> None:
    found = markdown(Table(title="t", columns=("a", "b", "c"), rows=(("1", "", "x|y"), ("2", "", "")), notes=("n",)))
    assert found == "### t\n\n| a | c |\n| --- | --- |\n| 1 | x\\|y |\n| 2 |  |\n\nn\n"
    assert markdown(Table(columns=("a",), rows=())) == "| a |\n| --- |\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (1.5, "1.5 s"), (0.0123456, "12.35 ms"), (2e-6, "2 us"), (3e-9, "3 ns"), (1e-12, "0.001 ns"), (0.0, "0 ns")],
)
def test_seconds_are_in_the_unit_that_fits(value: float | None, text: str) -> None:
    assert seconds(value) == text


def test_near_is_a_share_or_a_least_difference() -> None:
    assert near(1e-6, 1.19e-6, share=0.01, least=200e-9)
    assert not near(1e-6, 1.21e-6, share=0.01, least=200e-9)
    assert near(0.1, 0.1009, share=0.01, least=200e-9)
    assert not near(0.1, 0.0989, share=0.01, least=200e-9)
    assert near(100, 105, share=0.05)


def test_an_interval_that_is_not_there_covers_nothing() -> None:
    assert between(1.0, 0.9, 1.0)
    assert not between(1.0, 1.01, 1.1)
    assert not between(1.0, None, 1.1)
    assert how_many([True, False, True]) == "2 of 3"
    assert percent(0.125, 1) == "12.5 %"
    assert spread([1.0, None, 2.0, 4.0]) == 1.5
    assert spread([1.0]) is None


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 10, 0.0, 0.30850), (5, 10, 0.18709, 0.81291), (9, 10, 0.55498, 0.99747), (10, 10, 0.69150, 1.0)],
)
def test_clopper_pearson(successes: int, trials: int, low: float, high: float) -> None:
    assert aa.clopper_pearson(successes, trials) == pytest.approx((low, high), abs=1e-5)


def test_clopper_pearson_is_what_either_tail_cannot_reject() -> None:
    low, high = aa.clopper_pearson(180, 192)
    assert sum(math.comb(192, k) * low**k * (1 - low) ** (192 - k) for k in range(180, 193)) == pytest.approx(0.025)
    assert sum(math.comb(192, k) * high**k * (1 - high) ** (192 - k) for k in range(181)) == pytest.approx(0.025)


def test_cells_are_a_number_or_names() -> None:
    assert len(NAMES) == len(set(NAMES)) == 29
    assert names("3") == NAMES[:3]
    assert names("sort,micro/softmax, sort") == ("sort", "softmax")
    assert not set(names("24")) & set(LEFT_OUT)
    assert set(names("29")) > set(LEFT_OUT)
    with pytest.raises(argparse.ArgumentTypeError, match="it has 'softmax'"):
        names("sofmax")
    with pytest.raises(argparse.ArgumentTypeError, match="1 to 29"):
        names("30")


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_has_its_defaults(study: str) -> None:
    options = parse([study])
    assert options.study == study
    assert about.parameters(options).startswith(f"{study}: device cpu, seed 1337")


@pytest.mark.parametrize("arguments", [["--help"], *([study, "--help"] for study in STUDIES)])
def test_there_is_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 0
    assert "usage: python -m tests.benchmarks.fidelity" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "required: STUDY"),
        (["nothing"], "invalid choice"),
        (["aa", "--launches", "0"], "no number from 1 on"),
        (["aa", "--cells", "nothing"], "micro has no 'nothing'"),
        (["aa", "--budget", "-1"], "no number above 0"),
        (["aa", "--container", "docker 'run"], "No closing quotation"),
        (["aa", "--container", " "], "the command is empty"),
        (["aa", "--from", "/nowhere/aa.csv"], "there is no file"),
        (["agreement", "--container", "docker"], "unrecognized arguments"),
        (["memory", "--mebibytes", "5"], "invalid choice"),
    ],
)
def test_a_wrong_argument_is_said(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    assert text in capsys.readouterr().err


def test_kept_caches_need_a_place(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        table.run(parse(["table", "--keep-caches"]))
    assert "--cache-dir" in capsys.readouterr().err


def test_a_launch_has_the_variables_of_the_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert VARIABLES == PINNED_VARIABLES
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    assert "MALLOC_ARENA_MAX" in Place(prefix=("python",)).environment()
    found = Place(prefix=("python",), without="MALLOC_", variables={"A": "b"}).environment()
    assert "MALLOC_ARENA_MAX" not in found
    assert (found["A"], found["PYTHONPATH"], found["PYTHONHASHSEED"]) == ("b", str(SOURCE), "0")


def test_a_container_has_the_same_paths() -> None:
    place = Place(prefix=("docker", "run", "-v{source}:{source}:ro", "-v{out}:{out}", "image", "python3"), module="tests.instruments")
    assert place.command(Path("/o")) == [
        *("docker", "run", f"-v{SOURCE}:{SOURCE}:ro", "-v/o:/o", "image", "python3", "-m", "tests.instruments"),
        *("launch", "--stop-with-stdin", "--cells", "/o/cells.json", "--out", "/o"),
    ]


def spec_of(*cells: Cell) -> LaunchSpec:
    return LaunchSpec(run="r", launch=1, attempt=0, image="host", cells=cells, seed=1, timeout_seconds=1)


def test_a_launch_that_fails_says_what_it_said() -> None:
    with pytest.raises(LaunchFailed, match=r"exit code 3:\nno such image"):
        launch(spec_of(), Place(prefix=("sh", "-c", "echo no such image; exit 3")))


SOFTMAX, SORT = Cell(workload="micro/softmax", backend="eager", device="cuda"), Cell(workload="micro/sort", backend="eager", device="cuda")


def test_what_has_its_row_is_not_measured_again() -> None:
    rows = [
        row(SOFTMAX, launch=0, cache="hot"),
        row(SORT, launch=0, cache="cold", image="container"),
        row(SORT, launch=1, image="container"),
        row(SOFTMAX, launch=1),
    ]
    found = remaining(spec_of(SOFTMAX, SORT), rows, {"cuda": {}})
    assert found.cells == (SORT,)
    assert (found.hot, found.cold, found.ceilings) == ((), (SORT.id,), {"cuda": {}})
    assert remaining(spec_of(SOFTMAX), rows[:2], None).hot == (SOFTMAX.id,)


def test_known_times_are_judged() -> None:
    rows = [
        row(known.cell("cpu", 1.0), backend_latency_seconds=1.1e-6, evidence="{}"),
        row(known.cell("cpu", 1000.0), backend_latency_seconds=1.02e-3, evidence="{}"),
        row(known.cell("cpu", 10.0), status="timeout", reason="slow"),
    ]
    found = known.table(rows, "cpu", (1.0, 10.0, 100.0, 1000.0))
    assert [line[4] for line in found.rows] == ["yes", "", "", "**NO**"]
    assert [line[-1] for line in found.rows] == ["", "timeout: slow", "no row", ""]
    assert found.rows[3][1:4] == ("1.02 ms", "2.00 %", "+20000")


def test_on_a_gpu_a_known_time_is_one_beyond_an_empty_kernel() -> None:
    cells = [row(known.cell("cuda", 1.0), backend_device_seconds=2.4e-6, empty_device_seconds=1.5e-6)]
    assert known.table(cells, "cuda", (1.0,)).rows[0][1:5] == ("900 ns", "-10.00 %", "-100", "yes")


def test_aa_counts_cells_and_launches() -> None:
    cell = Cell(workload="micro/softmax", backend="eager")
    rows = [
        row(cell, speedup=1.0, speedup_low=0.99, speedup_high=1.01, backend_latency_seconds=1e-3, warnings="drift;contended"),
        row(cell, launch=1, speedup=1.02, speedup_low=1.01, speedup_high=1.03, backend_latency_seconds=2e-3, warnings="drift"),
        row(cell, launch=2, status="OOM", reason="full"),
    ]
    found = aa.table(rows)
    assert found.rows[0][3:5] == ("1 of 2", "1.010")
    assert found.rows[0][6:] == ("66.67 %", "1.98 %", "contended 1, drift 2", "OOM: full")
    assert found.notes[0].startswith("1 of 2 intervals (cell x launch) cover 1: 50.0 %, Clopper-Pearson 95 % interval 1.3 % to 98.7 %")
    assert aa.table([]).notes == ("No row passed: there is nothing to count.",)


def test_on_a_gpu_device_time_is_judged() -> None:
    found = aa.judged(row(SOFTMAX, speedup=2.0, device_speedup=1.0, device_speedup_low=0.9, device_speedup_high=1.1))
    assert found.speedup == 1.0
    assert found.width == pytest.approx(0.2)


def test_a_planted_difference_is_covered_or_not() -> None:
    cell = planted.cell("cpu", 10.0)
    rows = [row(cell, launch=i, speedup=1 / (1.1 + i / 1000), speedup_low=0.905, speedup_high=0.912) for i in range(-3, 4)]
    assert planted.table(rows, "cpu", (10.0,)).rows[0][:5] == ("1.100", "1.1000", "1.0980 to 1.1020", "yes", "7 of 7")
    assert planted.table(rows[:2], "cpu", (10.0,)).rows[0][2:4] == ("", "")
    assert planted.table([], "cpu", (10.0,)).rows[0][1] == ""


def test_modes_of_launches_are_seen() -> None:
    cell = Cell(workload="micro/conv2d_3x3", backend="eager")
    rows = [row(cell, launch=i, image=modes.NOT_PINNED, backend_latency_seconds=(1.1e-3, 2.6e-3)[i % 2]) for i in range(8)]
    rows += [row(cell, launch=i, image=modes.PINNED, backend_latency_seconds=1.1e-3) for i in range(8)]
    found = modes.table(rows)
    assert [line[2] for line in found.rows] == [modes.PINNED, modes.NOT_PINNED]
    assert [line[5] for line in found.rows] == ["one", "1.1 ms and 2.6 ms"]


def test_peaks_are_judged() -> None:
    rows = [row(memory.cell("cpu", 4), backend_peak_beyond_bytes=4 << 20), row(memory.cell("cpu", 64), backend_peak_beyond_bytes=60 << 20)]
    rows.append(row(memory.cell("cpu", 256)))
    found = memory.table(rows, "cpu", (4, 64, 256))
    assert [line[3] for line in found.rows] == ["yes", "**NO**", ""]
    assert "no peak" in found.rows[2][-1]


def test_the_table_puts_a_container_beside_none(tmp_path: Path) -> None:
    cells = [Cell(workload=f"micro/{name}", backend="inductor", shapes="large") for name in ("softmax", "sort")]
    rows = [
        row(cell, image=image, launch=launch, eager_latency_seconds=latency, backend_latency_seconds=1e-3, speedup=2.0)
        for cell, latencies in zip(cells, ((1e-3, 2e-3), (4e-3, 2e-3)), strict=True)
        for image, latency in zip(("host", "container"), latencies, strict=True)
        for launch in range(2)
    ]
    outside, inside, compared = table.tables(rows)
    assert (outside.title, inside.title) == ("outside of a container", "in a container")
    assert "softmax | float32 | large | 1 ms (0.0 %) | 1 ms (0.0 %) | 2.000 |" in markdown(outside)
    assert "topk (inductor calls" in inside.notes[-1]
    assert [line[5] for line in compared.rows] == ["2.000", "0.500", "1.000"]
    # The same from the file.
    append_rows(tmp_path / "table.csv", rows)
    outcome = launched(parse(["table", "--from", str(tmp_path / "table.csv")]), (), table.tables, keep=True)
    assert outcome.tables == (outside, inside, compared)
    assert document(outcome).startswith("Machine: not known; rows of ")
    assert len(table.tables([each for each in rows if each.image == "host"])) == 1


def test_agreement_is_of_medians(tmp_path: Path) -> None:
    readings = [
        agreement.Reading(
            clock="host", other="it", workload="w", shapes="s", round=number, cache="", ours_seconds=ours, other_seconds=1e-3, remark=""
        )
        for number, ours in enumerate((1.01e-3, 1.02e-3, 9e-3))
    ]
    (found,) = agreement.tables(readings)
    assert found.rows[0][7:9] == ("1.020", "yes")
    write_records(tmp_path / "r.csv", readings)
    assert (tmp_path / "r.csv").read_text().splitlines()[1] == "host,it,w,s,0,,0.00101,0.001,"


def test_efforts_are_side_by_side() -> None:
    efforts = [
        efficiency.Effort(workload="w", shapes="s", method=method, seconds=1.0, width=width, ratio=2.0)
        for method, width in zip(efficiency.METHODS, (0.009, 0.05, 0.02), strict=True)
    ]
    found = efficiency.table(efforts, 0.01)
    assert found.rows[0][2:5] == ("1.00", "0.90 %", "2.000")
    assert "- this harness: 1.0 s in all, median width 0.90 %, 1 of 1 as narrow as 1.00 %" in found.notes[0]


def test_the_line_before_names_machine_and_torch() -> None:
    facts = {"machine": {"cpu": "C", "cores": 2}, "gpus": [{"name": "G"}], "torch": "2.13"}
    host = about.summary(facts)
    assert about.line({"host": host}, "p") == "Machine: G + C, 2 cores; torch 2.13; p"
    assert "host: torch 2.13, container: torch 2.9" in about.line({"host": host, "container": {**host, "torch": "2.9"}}, "p")


def subject_of(model: torch.nn.Module) -> Subject:
    return Subject(model=model, inputs=model.get_example_inputs())  # type: ignore[operator]  # workloads of ours have it


def test_more_work_gives_the_same_result_and_counts() -> None:
    subject = subject_of(instruments.Repeated())
    backend = instruments.MoreWork(planted.cell("cpu", 3.0), Path)
    function = backend.prepare(subject)
    assert function.repetitions == 103  # type: ignore[attr-defined]  # it is a module
    assert subject.model.repetitions == 100
    with pytest.raises(NoEvidence):
        instruments.MoreWork(planted.cell("cpu", 3.0), Path).evidence()
    assert torch.equal(function(*subject.inputs), subject.model(*subject.inputs))
    assert backend.evidence().details == {"calls": 1}
    function(*subject.inputs)
    assert backend.evidence().details == {"calls": 1}
    with pytest.raises(Unsupported):
        backend.prepare(subject_of(instruments.ShortLived4()))


def test_spin_gives_the_right_result_and_counts() -> None:
    subject = subject_of(instruments.ShortLived4())
    backend = instruments.Spin(known.cell("cpu", 1.0), Path)
    function = backend.prepare(subject)
    assert torch.equal(function(*subject.inputs), subject.model(*subject.inputs))
    function(*subject.inputs)
    assert backend.evidence().details["calls"] == 2
    with pytest.raises(Unsupported, match="the number microseconds"):
        instruments.Spin(planted.cell("cpu", 1.0), Path)


def test_options_reach_the_specification() -> None:
    options = parse(
        ["table", "--cells", "2", "--samples", "3", "--budget", "0.5", "--no-warm-compile", "--launches-from", "4", "--launches", "1"]
    )
    ((spec, place),) = table.plan(options)
    assert (spec.launch, spec.warm_compile, spec.fresh_caches, spec.ceilings, spec.image) == (4, False, True, None, "host")
    assert spec.sampling == Sampling(samples=3, minimum_samples=3, budget_seconds=0.5)
    assert [cell.precision for cell in spec.cells] == ["float32", "bfloat16"] * 2
    assert place.module == "harness"
    container = parse(["table", "--cells", "2", "--launches", "4", "--container", "env python3"])
    images = [spec.image for spec, _ in table.plan(container)]
    assert sorted(images[:2]) == sorted(images[2:4]) == ["container", "host"]
    assert len({tuple(images[index : index + 2]) for index in range(0, 8, 2)}) == 2
