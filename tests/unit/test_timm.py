"""The suite timm: the ancestor's models, and what becomes of them where timm is not there."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import cast

import pytest
import torch

from harness import catalog
from harness.protocols import Unsupported, Workload
from harness.records import Status
from harness.workloads.timm_models.table import MODELS, SMALL_BATCH
from tests.unit.test_experiments import fresh, measured

__all__ = ["fresh"]

ANCESTOR = {
    "adv_inception_v3": 128,
    "beit_base_patch16_224": 64,
    "convnextv2_nano.fcmae_ft_in22k_in1k": 128,
    "deit_base_distilled_patch16_224": 64,
    "deit_tiny_patch16_224.fb_in1k": 128,
    "dm_nfnet_f0": 128,
    "ghostnet_100": 512,
    "inception_v3": 128,
    "mobilenetv2_100": 128,
    "mobilenetv3_large_100": 512,
    "mobilevit_s": 64,
    "nfnet_l0": 128,
    "repvgg_a2": 128,
    "swin_base_patch4_window7_224": 64,
    "tf_efficientnet_b0": 128,
    "visformer_small": 128,
    "vit_base_patch14_dinov2.lvd142m": 128,
    "vit_base_patch16_siglip_256": 128,
}
"""benchmarks/dynamo/timm_models_list.txt, pytorch/benchmark at 0e83c440, with the divisors of timm_models.yaml, pytorch/pytorch at 1869dff181f4."""


def why_not() -> str:
    """Why timm does not load here; empty where it does."""
    try:
        importlib.import_module("timm")
    except (ImportError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


WHY_NOT = why_not()


def workload(name: str) -> Workload:
    return cast("Workload", catalog.load(catalog.SUITES["timm"][name]))


def test_the_table_is_the_ancestors() -> None:
    assert {name: model.batch_size for name, model in MODELS.items()} == ANCESTOR
    assert set(catalog.SUITES["timm"]) == set(ANCESTOR)
    with pytest.raises(AttributeError):
        catalog.load("harness.workloads.timm_models.workload:resnet_of_nobody")


@pytest.mark.skipif(not WHY_NOT, reason="timm loads here")
def test_without_timm_a_row_says_so(tmp_path: Path) -> None:
    journal = measured("performance", "timm/mobilenetv2_100", tmp_path, backend="eager")
    assert journal.status == Status.UNSUPPORTED
    assert "timm does not load in this image" in journal.reason


@pytest.mark.skipif(bool(WHY_NOT), reason=f"timm does not load here: {WHY_NOT}")
@pytest.mark.parametrize("mode", ["inference", "training"])
@pytest.mark.parametrize("name", list(MODELS))
def test_every_model_is_built_small_and_gives_finite_results(name: str, mode: str) -> None:
    subject = workload(name).load(device="cpu", precision="float32", mode=mode, shapes="small", batch_size=None, seed=1)
    assert subject.batch_size == SMALL_BATCH
    assert subject.model.training == (mode == "training")
    output = subject.model(*subject.inputs)
    assert output.shape[0] == SMALL_BATCH
    assert torch.isfinite(output).all()
    assert 1e-5 < float(output.std()) < 1e3
    if mode == "training":
        torch.testing.assert_close(subject.model(*subject.inputs), output, msg="nothing is drawn at random")
        output.sum().backward()
        assert all(torch.isfinite(parameter.grad).all() for parameter in subject.model.parameters() if parameter.grad is not None)


@pytest.mark.skipif(bool(WHY_NOT), reason=f"timm does not load here: {WHY_NOT}")
def test_the_seed_makes_the_weights_and_a_batch_size_the_inputs() -> None:
    first, again = (
        workload("mobilenetv2_100").load(device="cpu", precision="float32", mode="inference", shapes="small", batch_size=2, seed=3)
        for _ in range(2)
    )
    assert first.inputs[0].shape[0] == 2
    torch.testing.assert_close(first.model(*first.inputs), again.model(*again.inputs), rtol=0, atol=0)


def test_a_torchvision_of_another_build_is_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "timm").mkdir()
    (tmp_path / "timm" / "__init__.py").write_text('raise RuntimeError("operator torchvision::nms does not exist")\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    with pytest.raises(Unsupported, match=r"RuntimeError: operator torchvision::nms"):
        workload("ghostnet_100").load(device="cpu", precision="float32", mode="inference", shapes="small", batch_size=None, seed=1)
