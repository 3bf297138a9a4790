"""The pictures of the page in README and docs, made anew: ``nox -s page-pictures``. Of generated runs, with the gate's verdicts on them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from matrix.config import SUITES as MARKS
from matrix.config import load_matrix
from tests.benchmarks.page_data import SUITES, Shape, write_run, write_versions
from tests.browser.watched import made, watching
from tests.conftest import SOURCE

SIZE = {"width": 1280, "height": 860}
NAMES = (
    *("micro/linear_gelu_mlp", "torchbench/dlrm", "huggingface/T5Small", "timm/visformer_small"),
    *("micro/softmax", "torchbench/hf_Whisper", "huggingface/BertForMaskedLM", "timm/mobilenetv2_100"),
    *("micro/conv2d_3x3", "torchbench/llama", "huggingface/GPT2ForSequenceClassification", "timm/repvgg_a2"),
    *("micro/matmul_square", "torchbench/resnet50", "huggingface/ElectraForCausalLM", "timm/ghostnet_100"),
)
EFFECTS = {
    "micro/linear_gelu_mlp": 1.11,
    "huggingface/BertForMaskedLM": 1.067,
    "micro/conv2d_3x3": 1.035,
    "micro/matmul_square": 0.945,
    "timm/mobilenetv2_100": 0.925,
}
"""Of the candidate's inductor over the baseline's."""
TIMES = ("abs_latency", "backend_latency_seconds", "backend_p05_seconds")
FEW = 1
"""Launches whose rows have warnings."""
PLACE = 5
"""Of the cell in the picture of one: the candidate's inductor in the first line."""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        compared = _gated(Path(folder))
        history = made(*write_versions(Path(folder), growth=0.08), output=Path(folder) / "history.html")
        for name, file, view, dark in (
            ("compare", compared, "#compare", False),
            ("matrix", compared, "#matrix", False),
            ("cell", compared, "", True),
            ("history", history, "#history", False),
        ):
            _take(SOURCE / "docs" / f"report-{name}.png", file, view, dark=dark)
    return 0


def _gated(folder: Path) -> Path:
    """Two versions of an image in launches beside each other, one of them slower here and there, and what a gate says of them."""
    run = write_run(
        folder / "20260105-060000-gate", Shape(cells=4 * len(NAMES), images=2, launches=31, samples=12, failing=0.02, noise=0.006)
    )
    for path in (run / "manifest.json", run / "samples.csv", run / "results.csv"):
        text = path.read_text(encoding="utf-8")
        for number, name in enumerate(NAMES):
            text = text.replace(f"{SUITES[number % len(SUITES)]}/workload_{number:05d}", name)
        path.write_text(text, encoding="utf-8")
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    # A gate wants to know by which settings its rows were measured.
    manifest["matrix"] = load_matrix(SOURCE / "matrix.toml", SOURCE / MARKS).model_dump(mode="json")
    manifest["user_modules"] = {}
    (run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    rows = pd.read_csv(run / "results.csv", dtype=str, keep_default_na=False)
    host = pd.to_numeric(rows["backend_latency_seconds"])
    rows["backend_p05_seconds"] = (0.99 * host).map(repr).where(host.notna(), "")
    # Of every launch some: what is left is what an image is like.
    rows.loc[pd.to_numeric(rows["launch"]) > FEW, "warnings"] = ""
    for name, effect in EFFECTS.items():
        slower = (rows["name"] == name) & (rows["image"] == "cpu@2.11") & (rows["backend"] == "inductor") & host.notna()
        for column in [str(column) for column in rows if column in TIMES or str(column).startswith("speedup")]:
            told = slower & (rows[column] != "")
            values = pd.to_numeric(rows.loc[told, column])
            rows.loc[told, column] = (values * effect if column in TIMES else values / effect).map(repr)
    rows.to_csv(run / "results.csv", index=False)
    sides = ["--baseline", f"{run}#cpu@2.10", "--candidate", f"{run}#cpu@2.11", "--results", str(folder / "gates")]
    subprocess.run([sys.executable, "-m", "reports.gate", *sides, "-k", " inductor "], cwd=SOURCE, check=False)
    (verdicts,) = (folder / "gates").glob("*/gate.json")
    (run / "gate.json").write_text(verdicts.read_text(encoding="utf-8").replace(str(folder / "gates"), "results"), encoding="utf-8")
    return made(run, output=folder / "compared.html")


def _take(picture: Path, file: Path, view: str, *, dark: bool) -> None:
    chromium = shutil.which("chromium") or "/usr/bin/chromium"
    with watching(chromium, color_scheme="dark" if dark else "light") as watched:
        watched.page.set_viewport_size(SIZE)  # type: ignore[arg-type]
        page = watched.open(file, view or "#matrix")
        if not view:
            watched.visit(str(page.locator("a.entry").nth(PLACE).get_attribute("href")))
        page.wait_for_timeout(800)
        page.screenshot(path=picture)


if __name__ == "__main__":
    sys.exit(main())
