"""How much of a model's eager time the operators explain that it is made of, measured one by one: `nox -s operator-sums`.

A layer of BERT and a bottleneck of ResNet-50 are measured whole, recorded (`--experiment operators`) and measured operator by operator; the sum is
weighted by calls. By host time an operator alone costs what Python and the dispatcher cost once per call, the model's modules cost more; by device
time (on a GPU) neither counts. Caches are as they are (hot): inside of a model, an operator finds what the one before it has left.
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from harness.cell import Cell, LaunchSpec, Sampling
from harness.experiments.operators import FILE
from harness.records import Status
from matrix.plan import recorded_operators
from reports.format import duration, percent
from reports.operators import weighted

SOURCE = Path(__file__).resolve().parents[2]
TARGET = 0.2
"""The sum is within this share of the whole."""
SAMPLING = Sampling(cache="hot", energy_seconds=0.0, budget_seconds=2.0)


class BertLayer(nn.Module):
    """One layer of BERT-base in inference (Devlin et al. 2018): 12 heads, 768 wide, 3072 between; 8 sequences of 128 tokens."""

    def __init__(self, width: int = 768, heads: int = 12, between: int = 3072) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.mixed = (nn.Linear(width, width) for _ in range(4))
        self.attention_norm, self.output_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, between), nn.Linear(between, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        query, key, value = (
            part(x).view(batch, tokens, self.heads, width // self.heads).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        seen = nn.functional.scaled_dot_product_attention(query, key, value)
        x = self.attention_norm(x + self.mixed(seen.transpose(1, 2).reshape(batch, tokens, width)))
        output: torch.Tensor = self.output_norm(x + self.down(nn.functional.gelu(self.up(x))))
        return output

    def get_example_inputs(self) -> tuple[torch.Tensor]:
        return (torch.randn(8, 128, 768),)


class ResNetBottleneck(nn.Module):
    """A block of the first stage of ResNet-50 (He et al. 2015), in inference: 16 images, 256 channels of 56 x 56."""

    def __init__(self, channels: int = 256, narrow: int = 64) -> None:
        super().__init__()
        self.down, self.spatial = nn.Conv2d(channels, narrow, 1, bias=False), nn.Conv2d(narrow, narrow, 3, padding=1, bias=False)
        self.up = nn.Conv2d(narrow, channels, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(narrow), nn.BatchNorm2d(narrow), nn.BatchNorm2d(channels)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x
        for convolution, norm in zip((self.down, self.spatial, self.up), self.norms, strict=True):
            y = norm(convolution(y))
            if convolution is not self.up:
                y = nn.functional.relu(y)
        return nn.functional.relu(y + x)

    def get_example_inputs(self) -> tuple[torch.Tensor]:
        return (torch.randn(16, 256, 56, 56),)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Explained:
    model: str
    clock: str
    whole_seconds: float
    sum_seconds: float
    operators: int
    failed: int

    def __str__(self) -> str:
        share = self.sum_seconds / self.whole_seconds
        missing = f", {self.failed} without times" if self.failed else ""
        held = "" if abs(share - 1) <= TARGET else f"  (beyond the target of {percent(TARGET)})"
        return (
            f"{self.model:18} {self.clock:7} whole {duration(self.whole_seconds):>9}   sum {duration(self.sum_seconds):>9}   {percent(share):>7}"
            f"   {self.operators} operators{missing}{held}"
        )


def launch(folder: Path, *cells: Cell, experiment: str) -> pd.DataFrame:
    folder.mkdir()
    spec = LaunchSpec(
        run="operator-sums",
        launch=0,
        attempt=0,
        image="here",
        cells=cells,
        seed=1337,
        timeout_seconds=300.0,
        experiment=experiment,
        sampling=SAMPLING,
        warm_compile=False,
        measure_ceilings=False,
    )
    (folder / "cells.json").write_text(spec.to_json())
    command = [sys.executable, "-m", "harness", "launch", "--cells", str(folder / "cells.json"), "--out", str(folder)]
    subprocess.run(command, cwd=SOURCE, check=True, capture_output=True)
    return pd.read_csv(folder / "results.csv")


def explain(model: type[nn.Module], device: str, precision: str, scratch: Path) -> Explained:
    """Raises ValueError where the model itself does not run."""
    cell = Cell(workload=f"path/operator_sums:{model.__name__}", path=__file__, backend="eager", device=device, precision=precision)
    whole = launch(scratch / "whole", cell, experiment="performance").iloc[0]
    launch(scratch / "recorded", cell, experiment="operators")
    if whole["status"] != Status.PASS:
        raise ValueError(f"{model.__name__}: {whole['status']}: {whole['reason']}")
    recording = next((scratch / "recorded").glob(f"artifacts/*/{FILE}"))
    each = [dataclasses.replace(cell, workload=workload, path=path) for workload, path in recorded_operators(f"operators:{recording}")]
    rows = launch(scratch / "each", *each, experiment="performance")
    for name, status, reason in rows.loc[rows["status"] != Status.PASS, ["name", "status", "reason"]].to_numpy().tolist():
        print(f"{name}: {status}: {reason}")
    (found,) = weighted(rows)
    on_device = device == "cuda"
    return Explained(
        model=model.__name__,
        clock="device" if on_device else "host",
        whole_seconds=float(whole["eager_device_seconds" if on_device else "eager_latency_seconds"]),
        sum_seconds=found.eager_seconds,
        operators=len(each),
        failed=found.failed,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="nox -s operator-sums --", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("float32", "float16", "bfloat16"), default="float32")
    options = parser.parse_args()
    for model in (BertLayer, ResNetBottleneck):
        with tempfile.TemporaryDirectory(prefix="operator-sums-") as folder:
            print(explain(model, options.device, options.precision, Path(folder)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
