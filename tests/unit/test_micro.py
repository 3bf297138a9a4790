"""The suite: every workload loads, is deterministic, and is what it says it is."""

from __future__ import annotations

import pytest
import torch
from torch.utils import _pytree as pytree

from harness import catalog
from harness.protocols import Subject, Unsupported, Workload

NAMES = sorted(catalog.SUITES["micro"])


def load(name: str, **changes: object) -> Subject:
    workload: Workload = catalog.load(catalog.SUITES["micro"][name])  # type: ignore[assignment]
    how: dict[str, object] = {
        "device": "cpu",
        "precision": "float32",
        "mode": "inference",
        "shapes": "small",
        "batch_size": None,
        "seed": 1,
    }
    return workload.load(**{**how, **changes})  # type: ignore[arg-type]


def test_the_suite_is_large_enough() -> None:
    assert len(NAMES) >= 24


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_the_same_from_the_same_seed(name: str) -> None:
    first, second = load(name), load(name)
    for a, b in zip(pytree.tree_leaves(first.inputs), pytree.tree_leaves(second.inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    with torch.no_grad():
        outputs = first.model(*first.inputs), second.model(*second.inputs)
    torch.testing.assert_close(outputs[0], outputs[1])


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_gives_other_inputs(name: str) -> None:
    leaves = [pytree.tree_leaves(load(name, seed=seed).inputs) for seed in (1, 2)]
    assert any(not torch.equal(a, b) for a, b in zip(*leaves, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_declared_bytes_are_those_of_inputs_weights_and_outputs(name: str) -> None:
    """Within a factor of two: a lookup reads part of its table, a mean part of nothing."""
    subject = load(name)
    with torch.no_grad():
        outputs = subject.model(*subject.inputs)
    leaves = [*pytree.tree_leaves((subject.inputs, outputs)), *subject.model.parameters()]
    held = sum(leaf.nbytes for leaf in leaves if isinstance(leaf, torch.Tensor))
    assert subject.bytes_moved is not None
    assert subject.bytes_moved <= 1.01 * held
    if name != "embedding_bag":
        assert subject.bytes_moved >= 0.5 * held


@pytest.mark.parametrize("name", NAMES)
def test_declared_operations_are_those_torch_counts(name: str) -> None:
    """Torch counts products and convolutions; the suite also counts additions where they are all there is."""
    from torch.utils.flop_counter import FlopCounterMode

    subject = load(name)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        subject.model(*subject.inputs)
    counted = counter.get_total_flops()
    if name in ("attention_causal", "attention_long"):
        # The mask halves what is needed; torch counts both halves.
        counted //= 2
    if counted and name not in ("lstm", "transformer_block"):
        assert subject.flops == counted
    elif name == "transformer_block":
        assert subject.flops == pytest.approx(counted, rel=0.15)


def test_a_batch_size_replaces_the_one_of_the_shapes() -> None:
    subject = load("linear_gelu_mlp", batch_size=3)
    assert subject.batch_size == 3
    assert subject.inputs[0].shape[0] == 3
    with pytest.raises(Unsupported, match="no batch dimension"):
        load("matmul_square", batch_size=3)


def test_what_a_workload_does_not_have_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="no training mode"):
        load("adam_step_foreach", mode="training")
    with pytest.raises(ValueError, match="shapes"):
        load("softmax", shapes="huge")


def test_precision_casts_model_and_inputs_but_not_indices() -> None:
    subject = load("cross_entropy", precision="bfloat16")
    assert [leaf.dtype for leaf in subject.inputs] == [torch.bfloat16, torch.int64]
    assert load("cross_entropy", precision="amp").inputs[0].dtype == torch.float32
