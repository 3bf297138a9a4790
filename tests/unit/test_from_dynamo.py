"""docs/from-dynamo.md: every option of the ancestor's parser has a line, and every command of a line is one that the command line takes."""

from __future__ import annotations

import pytest

from matrix.config import load_matrix
from matrix.options import make_parser, selection_of
from matrix.overrides import require_effect, with_options
from matrix.plan import PlannedImage, make_plan
from reports.__main__ import make_parser as report_parser
from tests.benchmarks.from_dynamo import DOCUMENT, NEEDS_GPU, NOT_YET, Line, commands_of, lines_of
from tests.conftest import SOURCE

ANCESTOR = [
    "--filter",
    "-k",
    "--exclude",
    "-x",
    "--exclude-exact",
    "--total-partitions",
    "--partition-id",
    "--devices",
    "--device",
    "-d",
    "--device-index",
    "--repeat",
    "-n",
    "--iterations-per-run",
    "--randomize-input",
    "--threads",
    "-t",
    "--nopython",
    "--no-skip",
    "--prims-nvfuser",
    "--dump-raw-metrics",
    "--log-operator-inputs",
    "--channels-last",
    "--batch-size",
    "--batch_size",
    "--iterations",
    "--batch-size-file",
    "--cosine",
    "--freezing",
    "--deterministic",
    "--batch-invariant",
    "--inductor-config",
    "-c",
    "--ci",
    "--dashboard",
    "--skip-fp64-check",
    "--fast",
    "-f",
    "--only",
    "--multiprocess",
    "--ddp",
    "--fsdp",
    "--optimize-ddp-mode",
    "--distributed-master-port",
    "--dynamic-shapes",
    "--propagate-real-tensors",
    "--dynamic-batch-only",
    "--unbacked-batch-only",
    "--compare-backed-unbacked",
    "--specialize-int",
    "--use-eval-mode",
    "--skip-accuracy-check",
    "--generate-aot-autograd-stats",
    "--inductor-settings",
    "--suppress-errors",
    "--output",
    "--output-directory",
    "--disable-output",
    "--baseline",
    "--part",
    "--export-profiler-trace",
    "--profiler-trace-name",
    "--profiler_trace_name",
    "--profile-details",
    "--export-perfdoctor",
    "--diff-branch",
    "--tag",
    "--explain",
    "--stats",
    "--use-warm-peak-memory",
    "--use_warm_peak_memory",
    "--print-memory",
    "--print-compilation-time",
    "--print-dataframe-summary",
    "--disable-cudagraphs",
    "--disable-split-reductions",
    "--disable-persistent-reductions",
    "--disable-divisible-by-16",
    "--inductor-compile-mode",
    "--print-graph-breaks",
    "--log-graph-breaks",
    "--trace-on-xla",
    "--xla-tolerance",
    "--collect-outputs",
    "--enable-activation-checkpointing",
    "--timing",
    "--progress",
    "--timeout",
    "--per_process_memory_fraction",
    "--no-translation-validation",
    "--minify",
    "--compiled-autograd",
    "--profile_dynamo_cache_lookup",
    "--profile-dynamo-cache-lookup",
    "--snapshot-memory",
    "--snapshot_memory",
    "--retain-output",
    "--caching-precompile",
    "--save-model-outputs-to",
    "--compare-model-outputs-with",
    "--cold-start-latency",
    "--cold_start_latency",
    "--warm-start-latency",
    "--warm_start_latency",
    "--nvfuser",
    "--nnc",
    "--float16",
    "--bfloat16",
    "--float32",
    "--amp",
    "--amp-dtype",
    "--verbose",
    "-v",
    "--quiet",
    "-q",
    "--coverage",
    "--overhead",
    "--speedup-dynamo-ts",
    "--speedup-fx2trt",
    "--speedup-fx2trt-fp16",
    "--print-fx",
    "--print-aten-ops",
    "--inductor",
    "--optimus",
    "--quantization",
    "--export",
    "--export-aot-inductor",
    "--aot-precompile",
    "--export-nativert",
    "--torchscript-jit-trace",
    "--xla",
    "--backend",
    "--nothing",
    "--log-conv-args",
    "--recompile-profiler",
    "--recompile_profiler",
    "--find-batch-sizes",
    "--accuracy",
    "--performance",
    "--tolerance",
    "--training",
    "--inference",
]
"""Of ``parse_args`` in benchmarks/dynamo/common.py, pytorch/pytorch at 00391a7e1220; ``--_print-latency-ms`` is hidden, for its own use."""
LINES = tuple(lines_of(DOCUMENT.read_text(encoding="utf-8")))


def test_every_option_of_the_ancestor_has_one_line() -> None:
    named = [option for line in LINES for option in line.options]
    assert sorted(named) == sorted(ANCESTOR)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.options[0])
def test_every_command_is_taken_and_measures_something(line: Line) -> None:
    assert bool(line.arguments) != line.here.startswith((NOT_YET, "Meta's own"))
    if not line.arguments:
        return
    for command in commands_of(line):
        if command.image:
            options = make_parser().parse_args(["bench", command.image, *command.arguments])
            if any("*" in word for word in command.arguments):
                continue  # of what the commands before it have measured
            matrix = with_options(load_matrix(SOURCE / "matrix.toml", SOURCE / "suites"), options)
            plan = make_plan(matrix, (PlannedImage(name=command.image),), selection_of(options))
            assert plan.launches[0].cells
            if line.gave != NEEDS_GPU:
                require_effect(matrix, plan, options)
        elif command.session == "report":
            report_parser().parse_args(command.arguments)
        else:
            assert all((SOURCE / path).exists() for path in command.arguments)
    assert line.gave, "and it was run: nox -s from-dynamo"
    assert not line.gave.startswith("exit code")
