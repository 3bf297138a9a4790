"""What a run does to every workload: layout, recomputation, optimizer, settings of torch's compilers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch._dynamo
import torch._inductor.config
from torch import nn

from harness import torch_config
from harness.cell import Cell, Treatment
from harness.experiments.checking import seeded, step_of
from harness.protocols import Subject, Unsupported
from harness.workloads.loading import load_subject
from harness.workloads.treatment import Checkpointed, treated
from matrix.config import load_matrix
from matrix.options import make_parser
from matrix.overrides import with_options
from tests.conftest import SOURCE
from tests.said import spec_of


def loaded(workload: str, mode: str = "inference", **treatment: Any) -> Subject:
    cell = Cell(workload=workload, backend="eager", mode=mode)
    return load_subject(cell, spec_of(cell, treatment=Treatment(**treatment)))


def test_channels_last_is_of_four_dimensions_and_changes_no_result() -> None:
    usual, treated = loaded("micro/conv_bn_relu"), loaded("micro/conv_bn_relu", channels_last=True)
    (images,) = treated.inputs
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert not images.is_contiguous()
    assert any(
        parameter.is_contiguous(memory_format=torch.channels_last) for parameter in treated.model.parameters() if parameter.dim() == 4
    )
    with torch.no_grad():
        torch.testing.assert_close(usual.model(*usual.inputs), treated.model(*treated.inputs), rtol=1e-4, atol=1e-5)
    assert loaded("micro/softmax", channels_last=True).inputs[0].is_contiguous()


def results_of(subject: Subject) -> Any:
    return seeded(step_of(subject, Cell(workload="w/w", backend="eager", mode="training")), 1, "cpu")


def test_checkpointed_training_has_the_same_gradients() -> None:
    usual, treated = loaded("micro/linear_gelu_mlp", "training"), loaded("micro/linear_gelu_mlp", "training", activation_checkpointing=True)
    assert isinstance(treated.model, Checkpointed)
    one, other = (list(results_of(subject)["gradients"].values()) for subject in (usual, treated))
    torch.testing.assert_close(one, other)
    assert not isinstance(loaded("micro/linear_gelu_mlp", activation_checkpointing=True).model, Checkpointed), (
        "nothing is kept in inference"
    )


def test_the_optimizer_is_the_one_that_was_chosen() -> None:
    moved = {}
    for name in ("sgd", "adam"):
        subject = loaded("micro/linear_gelu_mlp", "training", optimizer=name)
        before = [parameter.detach().clone() for parameter in subject.model.parameters()]
        found = results_of(subject)
        moved[name] = [(after - old).abs().max().item() for old, after in zip(before, found["parameters"].values(), strict=True)]
    assert moved["adam"] == pytest.approx([1e-4] * len(moved["adam"]), rel=1e-2), "Adam's first step is the rate, whatever the gradient"
    assert moved["sgd"] != pytest.approx(moved["adam"], rel=1e-2)


def test_a_second_call_takes_the_first_step_again() -> None:
    subject = loaded("micro/linear_gelu_mlp", "training", optimizer="adam")
    step = step_of(subject, Cell(workload="w/w", backend="eager", mode="training"))
    kept = [parameter.detach().clone() for parameter in subject.model.parameters()]
    first = seeded(step, 1, "cpu")["parameters"]
    with torch.no_grad():
        for parameter, value in zip(subject.model.parameters(), kept, strict=True):
            parameter.copy_(value)
    torch.testing.assert_close(list(first.values()), list(seeded(step, 1, "cpu")["parameters"].values()))


@pytest.fixture
def as_it_was() -> Iterator[None]:
    before = torch._dynamo.config.specialize_int, torch._inductor.config.triton.persistent_reductions
    yield
    torch._dynamo.config.specialize_int, torch._inductor.config.triton.persistent_reductions = before


@pytest.mark.usefixtures("as_it_was")
def test_settings_of_torch_are_made_by_name() -> None:
    torch_config.apply([("dynamo.specialize_int", True), ("inductor.triton.persistent_reductions", False)])
    assert torch._dynamo.config.specialize_int is True
    assert torch._inductor.config.triton.persistent_reductions is False


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("dynamo.specialise_int", True, "did you mean 'specialize_int'"),
        ("dynamo.specialize_int", 3, "torch._dynamo.config.specialize_int is true or false, not 3"),
        ("dynamite.x", True, "no settings 'dynamite'; did you mean 'dynamo'"),
    ],
)
def test_settings_that_torch_does_not_have_are_refused(name: str, value: Any, text: str) -> None:
    with pytest.raises(Unsupported, match=text):
        torch_config.apply([(name, value)])


def test_the_command_line_treats_every_workload(capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "--channels-last --optimizer adam --torch-config dynamo.specialize_int=true --torch-config inductor.max_fusion_size=8 --threads 1"
    )
    words += (
        " --distributed ddp --ranks 3 --batch-sizes 4,8 --dynamic whole --compare aot_eager --first-batch-size 9 --gpu-memory-fraction 0.5"
    )
    run = with_options(load_matrix(SOURCE / "matrix.toml"), make_parser().parse_args(["bench", "cpu", *words.split()])).run
    assert (run.channels_last, run.activation_checkpointing, run.optimizer, run.threads) == (True, False, "adam", 1)
    assert run.torch_config == {"dynamo.specialize_int": True, "inductor.max_fusion_size": 8}
    assert (run.distributed, run.ranks, run.gpu_memory_fraction) == ("ddp", 3, 0.5)
    assert (run.batch_sizes, run.dynamic, run.baselines, run.first_batch_size) == ((4, 8), "whole", ("aot_eager",), 9)
    for wrong in (["--torch-config", "specialize_int=true"], ["--gpu-memory-fraction", "2"], ["--batch-sizes", "4,x"]):
        with pytest.raises(SystemExit):
            make_parser().parse_args(["bench", "cpu", *wrong])
        assert wrong[0] in capsys.readouterr().err


@pytest.mark.parametrize(("norm", "refused"), [(nn.BatchNorm1d(4), True), (nn.LayerNorm(4), False)], ids=["batch norm", "layer norm"])
def test_a_batch_norm_that_would_count_twice_is_not_checkpointed(norm: nn.Module, refused: bool) -> None:
    subject = Subject(model=nn.Sequential(nn.Linear(4, 4), norm).train(), inputs=(torch.ones(2, 4),))
    treatment = Treatment(activation_checkpointing=True)
    if refused:
        with pytest.raises(Unsupported, match="count every batch twice"):
            treated(subject, treatment)
    else:
        assert treated(subject, treatment).model is not subject.model
