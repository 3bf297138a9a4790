"""The ancestor's two files of a configuration: one source, whose statuses are of one and whose times are of the other."""

from __future__ import annotations

import datetime
import math
from itertools import permutations
from pathlib import Path

import pandas as pd
import pytest

from harness.records import Status
from reports.ancestor import Part, configuration_of, part_of
from reports.load import Loaded, load
from reports.page.build import build
from reports.page.collect import collect
from reports.page.model import Page
from reports.page.summary import summary

NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)
NAME = "inductor_no_cudagraphs_huggingface_amp_training_cuda"
# As the runner writes them: what fails has a batch size of 0, and zeros for what was not measured.
ACCURACY = """dev,name,batch_size,accuracy,calls_captured,unique_graphs,graph_breaks,unique_graph_breaks
cuda,AlbertForMaskedLM,4,pass,392,1,0,0
cuda,BertForMaskedLM,16,pass,311,1,0,0
cuda,Wrong,8,fail_accuracy,10,1,0,0
cuda,Skipped,8,pass_due_to_skip,0,0,0,0
cuda,NeverLoads,0,eager_1st_run_OOM,0,0,0,0
cuda,TooSlow,4,pass,20,1,0,0
cuda,org/Checked-1B,2,pass,9,1,0,0
"""
PERFORMANCE = """dev,name,batch_size,speedup,abs_latency,compilation_latency,compression_ratio,eager_peak_mem,dynamo_peak_mem,calls_captured
cuda,AlbertForMaskedLM,8,1.500000,20.000000,30.500000,1.200000,6.000000,5.000000,392
cuda,BertForMaskedLM,16,1.934000,29.105000,26.600000,1.010000,6.340000,6.270000,311
cuda,Wrong,16,3.000000,1.000000,5.000000,1.000000,1.000000,1.000000,10
cuda,Skipped,2,1.100000,9.000000,5.000000,1.000000,1.000000,1.000000,10
cuda,NeverLoads,0,0.000000,0.000000,0,0,0,0,0
cuda,TooSlow,0,0.000000,0.000000,0,0,0,0,0
cuda,Timed,16,1.250000,12.000000,5.000000,1.000000,1.000000,1.000000,10
"""


def write(folder: Path, name: str = NAME, accuracy: str = ACCURACY, performance: str = PERFORMANCE) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{name}_accuracy.csv", folder / f"{name}_performance.csv"]
    for path, text in zip(paths, (accuracy, performance), strict=True):
        path.write_text(text)
    return paths


def rows(loaded: Loaded) -> dict[str, pd.Series]:
    return {row["name"]: row for _, row in loaded.table.iterrows()}


def page(loaded: Loaded) -> Page:
    return build(collect(loaded), NOW)


@pytest.mark.parametrize("turned", [False, True])
def test_two_files_of_one_configuration_are_one_source_whatever_their_order(tmp_path: Path, turned: bool) -> None:
    paths = write(tmp_path / "day")
    loaded = load(paths[::-1] if turned else paths)
    assert [source.name for source in loaded.sources] == [NAME]
    assert not loaded.quarantined
    found = page(loaded)
    assert [(column.label, image.name) for column, image in zip(found.matrix.columns, found.images, strict=True)] == [(NAME, NAME)]
    assert not found.comparisons, "one configuration is nothing to compare"
    assert len(found.matrix.lines) == len(loaded.table) == 8
    assert found.sources[0].note.startswith("Two files")
    assert set(loaded.table["precision"]) == {"amp"}


def test_the_status_is_of_the_one_and_the_times_are_of_the_other(tmp_path: Path) -> None:
    found = rows(load(write(tmp_path / "day")))
    assert {name: row["status"] for name, row in found.items()} == {
        "AlbertForMaskedLM": Status.PASS,
        "BertForMaskedLM": Status.PASS,
        "Wrong": Status.FAIL_ACCURACY,
        "Skipped": Status.PASS_DUE_TO_SKIP,
        "NeverLoads": Status.OOM,
        "TooSlow": Status.FAIL_TO_RUN,
        "Timed": Status.PASS_DUE_TO_SKIP,
        "org/Checked-1B": Status.PASS,
    }
    bert = found["BertForMaskedLM"]
    assert (bert["speedup"], bert["abs_latency"], bert["compilation_latency"], bert["reason"]) == (1.934, 29.105, 26.6, "")
    assert found["TooSlow"]["reason"] == "its result is right, but its row has no speedup"


def test_a_row_says_with_which_batch_sizes_it_was_checked_and_timed(tmp_path: Path) -> None:
    found = rows(load(write(tmp_path / "day")))
    albert = found["AlbertForMaskedLM"]
    assert (albert["batch_size"], albert["planned_batch_size"]) == (8, 8), "the batch size is that of the times"
    assert albert["reason"] == "checked with a batch size of 4, timed with 8"
    assert found["BertForMaskedLM"]["reason"] == ""
    assert math.isnan(found["NeverLoads"]["batch_size"]), "a zero is no batch size"


def test_a_name_in_one_of_the_two_is_a_row_that_says_so(tmp_path: Path) -> None:
    found = rows(load(write(tmp_path / "day")))
    timed, checked = found["Timed"], found["org/Checked-1B"]
    assert "the accuracy file has no row of it" in timed["reason"]
    assert timed["speedup"] == 1.25
    assert "the performance file has no row of it" in checked["reason"]
    assert "batch size of 2" in checked["reason"]
    assert math.isnan(checked["speedup"])
    assert math.isnan(checked["batch_size"]), "nothing was timed with it"
    assert checked["cell"] == "org/Checked-1B cuda"
    (line,) = [line for line in summary(page(load(write(tmp_path / "again")))).splitlines() if "Checked" in line]
    assert line.endswith(" pass"), "what passes and has no times is no empty field"


@pytest.mark.parametrize(
    ("part", "note", "status"),
    [(0, "Of its accuracy alone: nothing was timed", Status.FAIL_ACCURACY), (1, "Of its performance alone", Status.PASS)],
)
def test_one_of_the_two_is_a_source_too(tmp_path: Path, part: int, note: str, status: str) -> None:
    path = write(tmp_path / "day")[part]
    loaded = load([path])
    assert [source.name for source in loaded.sources] == [path.name]
    assert note in page(loaded).sources[0].note
    assert rows(loaded)["Wrong"]["status"] == status
    assert set(loaded.table["image"]) == {NAME}, "an image is called the same whichever of its files are there"


@pytest.mark.parametrize(
    "other",
    [
        NAME.replace("inductor", "aot_eager"),
        NAME.replace("amp", "bfloat16"),
        NAME.replace("training", "inference"),
        NAME.replace("no_", "with_"),
    ],
)
def test_other_configurations_are_other_sources(tmp_path: Path, other: str) -> None:
    for paths in permutations([*write(tmp_path / "day"), *write(tmp_path / "day", other)]):
        assert sorted(source.name for source in load(paths).sources) == sorted([NAME, other])


def test_other_folders_are_other_sources_and_called_by_them(tmp_path: Path) -> None:
    paths = [*write(tmp_path / "monday"), *write(tmp_path / "tuesday")]
    loaded = load(paths)
    assert [source.name for source in loaded.sources] == [f"monday/{NAME}", f"tuesday/{NAME}"]
    assert [source.name for source in load([paths[0], paths[3]]).sources] == [paths[0].name, paths[3].name], (
        "halves of two days are no pair"
    )
    found = page(loaded)
    assert [column.label for column in found.matrix.columns] == [f"monday/{NAME}", f"tuesday/{NAME}"], "a name is said once"
    assert len(found.comparisons) == 1
    assert len(found.comparisons[0].cells) >= 2


def test_what_fails_in_one_configuration_is_beside_what_passes_in_another(tmp_path: Path) -> None:
    broken = PERFORMANCE.replace(
        "cuda,BertForMaskedLM,16,1.934000,29.105000,26.600000,1.010000,6.340000,6.270000,311", "cuda,BertForMaskedLM,0" + ",0" * 7
    )
    fails = ACCURACY.replace("cuda,BertForMaskedLM,16,pass,311,1,0,0", "cuda,BertForMaskedLM,0,timeout,0,0,0,0")
    assert broken != PERFORMANCE
    assert fails != ACCURACY
    found = page(load([*write(tmp_path / "monday"), *write(tmp_path / "tuesday", accuracy=fails, performance=broken)]))
    assert [line.batch_size for line in found.matrix.lines if line.workload == "BertForMaskedLM"] == [16]
    cells = {found.matrix.lines[cell.line].workload: cell for cell in found.comparisons[0].cells if cell.line is not None}
    assert "timeout" in str(cells["BertForMaskedLM"])


def test_what_was_checked_alone_is_beside_what_was_timed(tmp_path: Path) -> None:
    paths = [
        *write(tmp_path / "monday"),
        write(tmp_path / "tuesday", accuracy=ACCURACY.replace("cuda,AlbertForMaskedLM,4,pass", "cuda,AlbertForMaskedLM,4,fail_accuracy"))[
            0
        ],
    ]
    for given in (paths, paths[::-1]):
        found = page(load(given))
        assert [line.batch_size for line in found.matrix.lines if line.workload == "AlbertForMaskedLM"] == [8]
        (comparison,) = found.comparisons
        assert {cell.partition(" ")[0] for cell in (*comparison.lost, *comparison.new)} == {"Timed"}, "what was checked in both is in both"
        assert [column.label for column in found.matrix.columns] in ([NAME, f"{NAME}_accuracy.csv"], [f"{NAME}_accuracy.csv", NAME])
    loaded = load(paths)
    (alone,) = [row for _, row in loaded.table.iterrows() if row["name"] == "AlbertForMaskedLM" and row["status"] == Status.FAIL_ACCURACY]
    assert (alone["batch_size"], alone["reason"]) == (4, "checked with a batch size of 4")


def test_of_several_batch_sizes_each_is_beside_its_own(tmp_path: Path) -> None:
    accuracy = "dev,name,batch_size,accuracy\ncuda,A,1,pass\ncuda,A,2,fail_accuracy\n"
    performance = "dev,name,batch_size,speedup,abs_latency\ncuda,A,1,1.5,1.0\ncuda,A,2,1.6,1.0\ncuda,A,4,1.7,1.0\n"
    loaded = load(write(tmp_path / "day", accuracy=accuracy, performance=performance))
    assert not loaded.quarantined
    assert list(loaded.table["status"]) == [Status.PASS, Status.FAIL_ACCURACY, Status.FAIL_ACCURACY]
    assert list(loaded.table["reason"]) == ["", "", "checked with a batch size of 2, timed with 4"]


def test_what_is_checked_with_several_batch_sizes_and_never_timed_is_one_row_and_the_worst(tmp_path: Path) -> None:
    accuracy = "dev,name,batch_size,accuracy\ncuda,A,1,pass\ncuda,A,2,fail_accuracy\ncuda,A,4,pass\n"
    loaded = load(write(tmp_path / "day", accuracy=accuracy, performance="dev,name,batch_size,speedup,abs_latency\ncuda,B,1,1.5,1.0\n"))
    assert list(zip(loaded.table["name"], loaded.table["status"], strict=True)) == [
        ("B", Status.PASS_DUE_TO_SKIP),
        ("A", Status.FAIL_ACCURACY),
    ]


def test_a_file_of_another_kind_is_no_half(tmp_path: Path) -> None:
    first, second = write(tmp_path / "day", accuracy="name,launch,cell,backend,status\nmicro/a,0,c,inductor,pass\n")
    assert [source.name for source in load([first, second]).sources] == [first.name, second.name]


def test_an_empty_half_is_told_and_takes_nothing_away(tmp_path: Path) -> None:
    loaded = load(write(tmp_path / "day", accuracy=""))
    assert [item.reason for item in loaded.quarantined] == ["the file is empty"]
    assert len(loaded.table) == 7
    assert Status.PASS not in set(loaded.table["status"]), "nobody has looked at any result"


@pytest.mark.parametrize(
    ("name", "configuration", "part"),
    [
        ("inductor_huggingface_amp_inference_cuda_accuracy", "inductor_huggingface_amp_inference_cuda", Part.ACCURACY),
        (
            "inductor_dynamic_timm_models_bfloat16_inference_cuda_a10g_performance",
            "inductor_dynamic_timm_models_bfloat16_inference_cuda_a10g",
            Part.PERFORMANCE,
        ),
        ("inductor_with_cudagraphs_torchbench_amp_training_cuda_performance_compilation_metrics", None, None),
        ("accuracy", "folder", Part.ACCURACY),
        ("inaccuracy", None, None),
    ],
)
def test_names_say_configuration_and_part(name: str, configuration: str | None, part: Part | None) -> None:
    path = Path("folder") / f"{name}.csv"
    assert (configuration_of(path), part_of(path, [])) == (configuration or name, part)
