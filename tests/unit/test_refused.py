"""Command lines that cannot be meant: each is refused before anything is built, by the name of the option, and with what to do next."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix.__main__ import main
from matrix.errors import EngineMissing, SelectionError
from tests.conftest import SOURCE


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--mode training --distributed ddp --ranks 1", "--ranks 1: input should be greater than or equal to 2"),
        ("--backend inductr", "argument --backend: unknown backend 'inductr'; did you mean 'inductor'?"),
        ("--backend=", "argument --backend: '': a backend is NAME or NAME(OPTION=VALUE, ...)"),
        ("--base=", "--base '': "),
        ("--memory 99999999999g", "--memory '99999999999g': "),
        ("--memory 1k", "--memory '1k': '1k' is less than an engine gives a container"),
        ("--results=", "argument --results: it is empty"),
        ("--seed 99999999999", "is not a number from 0 to 4294967295"),
        (f"-k {'(' * 5000}{')' * 5000}", "is not a regular expression"),
        ("--backend eager --torch-config inductor.fallback_random=true", "--torch-config is of compilers, and every cell is eager"),
        ("--only path:nofile.py:Net", "--only: there is no file"),
        ("--memory lots", "--memory 'lots': "),
        ("--gpus nvidia", "--gpus is of GPUs, and no cell is on one"),
        ("--backend eager --minify", "--minify is of compilers, and every cell is eager"),
        ("--image nosuch", "--image: unknown image 'nosuch'"),
        ("--torchbench /nosuch", "--only: 'torchbench:/nosuch': /nosuch is no checkout of pytorch/benchmark"),
        ("--torchbench=", "(nothing) is no checkout of pytorch/benchmark"),
        ("--torch-config inductor.=1", "argument --torch-config: 'inductor.=1' is not PART.KEY=VALUE"),
        ("--batch-size-file /nosuch", "--batch-size-file: /nosuch: it cannot be read"),
        ("--backend inductor(mode=fastest)", "inductor: mode is one of"),
        ("--torch-config foo.bar=1", "--torch-config: 'foo.bar' is no setting of torch's compilers"),
        ("-k [", "--filter '[' is not a regular expression"),
        ("--only micro/softmx", "--only: unknown workload 'micro/softmx'; did you mean 'micro/softmax'?"),
        ("--only zzz", "unknown workload 'zzz'; there are "),
        ("--exclude-exact zzz", "--exclude-exact: unknown workload 'zzz'"),
        ("--batch-size 99999999999999999999", "99999999999999999999 is more than 1073741824"),
        ("--batch-size 0", "argument --batch-size: '0' is not a number above 0"),
        ("--nosuch", "unrecognized arguments: --nosuch"),
        ("--tf32", "--tf32 is of GPUs, and no cell is on one"),
        ("--cache cold", "--cache is of GPUs, and no cell is on one"),
        ("--gpu-memory-fraction 0.5", "--gpu-memory-fraction is of GPUs, and no cell is on one"),
        ("--optimizer adam", "--optimizer is of training, and no cell trains"),
        ("--experiment overhead --minify", "--minify is of performance, and the experiment is overhead"),
        ("--experiment overhead --memory-snapshot", "--memory-snapshot is of performance, and the experiment is overhead"),
        ("--experiment operators --save-outputs", "--save-outputs is of performance, and the experiment is operators"),
        ("--experiment overhead --mode training --distributed ddp", "--distributed is of performance, and the experiment is overhead"),
        ("--experiment baselines --backend inductor", "next: --compare 'inductor'"),
        ("--experiment coverage --backend inductor", "by inductor it would say the same\n  next: leave --backend out"),
    ],
)
def test_what_is_wrong_is_said_with_the_next_command(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--config", str(SOURCE / "matrix.toml"), "bench", "cpu", "--plan", *words.split()]
    try:
        code: object = main(arguments)
    except SystemExit as ended:
        code = ended.code
    error = capsys.readouterr().err
    assert code == 2
    assert said in error
    assert "next: " in error
    assert len(error) < 1000, "and not every option that there is"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("softmax,8\nmicro/softmax,16\n", "it has two sizes of micro/softmax, 8 (softmax) and 16 (micro/softmax)"),
        (f"softmax,{'9' * 5000}\n", "is not the name of a workload, a comma and a batch size from 1 to 1073741824"),
        ("softmax,99999999999999999999\n", "is not the name of a workload, a comma and a batch size from 1 to 1073741824"),
        ("name,largest_batch_size\nmicro/softmax,8\n", "it is no results.csv: it has no column dev"),
        ("name,dev,mode,precision,largest_batch_size\nmicro/softmax,cpu,inference,float32,0\n", "it tells no batch size"),
        ("largest_batch_size,name,dev,mode,precision\n8\n", "it tells no batch size"),
        ("NAME,SIZE\nsoftmax,8\n", "'NAME,SIZE' is not the name of a workload, a comma and a batch size from 1 to 1073741824"),
    ],
)
def test_batch_sizes_that_say_two_things_or_none_are_refused(
    lines: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sizes").write_text(lines)
    assert main(["--config", str(SOURCE / "matrix.toml"), "bench", "cpu", "--plan", "--batch-size-file", str(tmp_path / "sizes")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "next: " in error


def test_a_batch_size_of_no_workload_is_told_and_the_others_are_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sizes").write_text("softmax,8\nlayernorm,16\nhf_Bert,4\nDirected,2\npath/mine:Net,8\n")
    words = ["--plan", "-k", "softmax inductor", "--batch-size-file", str(tmp_path / "sizes")]
    assert main(["--config", str(SOURCE / "matrix.toml"), "bench", "cpu", *words]) == 0
    found = capsys.readouterr()
    assert "micro/softmax inductor cpu inference float32 small batch=8" in found.out
    told = found.err.splitlines()
    assert len(told) == 3, "a module of one's own may well be there"
    assert any("no workload is named 'layernorm'; did you mean 'micro/layer_norm'?" in line for line in told)


def test_an_error_of_a_selection_always_has_a_next_command() -> None:
    assert str(SelectionError("wrong")) == "wrong\n  next: see the options with --help"
    assert str(SelectionError("wrong\n  next: this")) == "wrong\n  next: this"
    assert str(EngineMissing("gone")) == "gone"


def test_a_size_for_all_and_a_file_of_sizes_are_not_given_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sizes").write_text("softmax,8\n")
    words = ["--plan", "--batch-size", "4", "--batch-size-file", str(tmp_path / "sizes")]
    assert main(["--config", str(SOURCE / "matrix.toml"), "bench", "cpu", *words]) == 2
    assert "--batch-size-file: it is for cells that no batch size is asked for, and --batch-size asks for one" in capsys.readouterr().err


def test_what_an_option_says_of_every_image_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(SOURCE / "matrix.toml"), "bench", "cpu", "--plan", "--base="]) == 2
    assert capsys.readouterr().err.count("--base") == 1


def test_results_that_cannot_be_written_are_told_before_an_image_is_built(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["--config", str(SOURCE / "matrix.toml"), "bench", "cpu", "--results", str(tmp_path / "file" / "in")]) == 2
    found = capsys.readouterr()
    assert f"--results {tmp_path / 'file' / 'in'}: no run can be written there" in found.err
    assert not found.out
