"""What the compiler makes of a workload, as files to read: graphs, breaks with the user's own lines, where compiling and calling spend their time.

The ancestor has a switch for each (``--print-fx``, ``--print-aten-ops``, ``--log-graph-breaks``, ``--explain``, ``--print-compilation-time``,
``--print-dynamo-time...``, ``--stats``, ``--export-profiler-trace``, ``--log-conv-args``) and some of them around the very calls that are timed.
Here they are an experiment of their own: nothing of it is ever near a timed sample, and every file is made by every run of it. What one version
of torch does not have costs a file, with the reason in the log, and nothing else.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch._dynamo
from torch._dynamo.utils import compile_times, counters

from harness.experiments.checking import Checked, check, report_subject, step_of
from harness.experiments.sparing import spared
from harness.experiments.steps import autocast, surroundings
from harness.experiments.taking import end_compile_workers
from harness.files import write_table
from harness.measure.operators import DispatchCount
from harness.protocols import Bench, Call, Outputs
from harness.records import Status
from harness.workloads.subjects import copy_of

ROWS_OF_PROFILE = 40
PROFILED_CALLS = 3
CONVOLUTIONS = frozenset({"convolution", "_convolution", "convolution_backward", "mkldnn_convolution", "cudnn_convolution"})


class Inspect:
    def run(self, bench: Bench) -> str:
        """The backend is checked as everywhere; then each file is made from a call or a compilation of its own."""
        report_subject(bench)
        checked = check(bench)
        if isinstance(checked, str):
            return checked
        end_compile_workers()
        report = bench.report
        files: dict[str, Callable[[], None]] = {
            "compile times": lambda: _write_compile_times(report.artifact("compile_times.txt")),
            "counters": lambda: _write_counters(report.artifact("counters.json")),
            "profile": lambda: _profile(checked, bench),
            "cache lookups": lambda: self._report_lookups(checked.backend.call, bench),
            "convolutions": lambda: _write_convolutions(checked.eager.call, report.artifact("convolutions.csv")),
            "explain": lambda: self._explain(bench),
            "aten graphs": lambda: _write_aten(bench, report.artifact("aten_graphs.txt")),
        }
        with surroundings(bench.cell.mode):
            for what, make in files.items():
                # What one version of torch lacks is missing, and the rest is made.
                with spared(what, report, said=what):
                    make()
        return Status.PASS

    def _explain(self, bench: Bench) -> None:
        """Graphs as dynamo captured them, and breaks by the user's line that made each. From a compilation of its own."""
        torch._dynamo.reset()
        subject = copy_of(bench.subject)
        with autocast(bench.cell.precision, bench.cell.device):
            found = torch._dynamo.explain(subject.model)(*subject.inputs)
        report = bench.report
        report.artifact("explain.txt").write_text(str(found), encoding="utf-8")
        with report.artifact("fx_graphs.txt").open("w", encoding="utf-8") as file:
            for index, graph in enumerate(found.graphs):
                file.write(f"# graph {index}\n{graph.print_readable(print_output=False)}\n")
        breaks = Counter((each.reason, _user_line(each.user_stack)) for each in found.break_reasons)
        lines = ((reason.strip(), where, count) for (reason, where), count in breaks.most_common())
        write_table(report.artifact("graph_breaks.csv"), ("reason", "where", "count"), lines)

    def _report_lookups(self, call: Call, bench: Bench) -> None:
        """What finding the compiled code costs: evaluating guards, by dynamo's own events of the profiler."""
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            for _ in range(PROFILED_CALLS):
                call()
        events = [event for event in profile.events() or () if event.name == "TorchDynamo Cache Lookup"]
        if events:
            bench.report.set(cache_lookup_seconds=sum(event.cpu_time_total for event in events) / PROFILED_CALLS / 1e6)


def _user_line(stack: Any) -> str:
    """``FILE:LINE in FUNCTION`` of the innermost frame."""
    frames = list(stack or ())
    return f"{frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""


def _write_compile_times(path: Path) -> None:
    """Seconds by phase of dynamo, AOTAutograd and inductor, of every compilation so far."""
    path.write_text(str(compile_times(repr="str", aggregate=False)), encoding="utf-8")


def _write_counters(path: Path) -> None:
    """All of dynamo's, AOTAutograd's and inductor's."""
    known = {name: dict(values) for name, values in counters.items() if values}
    path.write_text(json.dumps(known, indent=1, sort_keys=True), encoding="utf-8")


def _profile(checked: Checked, bench: Bench) -> None:
    """Of eager and of the backend: a trace for chrome://tracing or perfetto.dev, and a table of where the time goes."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if bench.cell.device == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    for name, step in (("eager", checked.eager), ("backend", checked.backend)):
        with torch.profiler.profile(activities=activities, record_shapes=True, with_flops=True) as profile:
            for _ in range(PROFILED_CALLS):
                step.call()
            bench.clock.synchronize()
        profile.export_chrome_trace(str(bench.report.artifact(f"trace-{name}.json.gz")))
        order = "self_cuda_time_total" if bench.cell.device == "cuda" else "self_cpu_time_total"
        table = profile.key_averages(group_by_input_shape=True).table(sort_by=order, row_limit=ROWS_OF_PROFILE)
        bench.report.artifact(f"profile-{name}.txt").write_text(str(table), encoding="utf-8")


class _Convolutions(DispatchCount[tuple[str, ...]]):  # type: ignore[no-untyped-call]  # torch's
    """By their arguments."""

    def key(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[str, ...] | None:
        return (str(func), *map(_text, args)) if func.overloadpacket.__name__ in CONVOLUTIONS else None


def _text(argument: object) -> str:
    if isinstance(argument, torch.Tensor):
        return f"{str(argument.dtype).removeprefix('torch.')}{list(argument.shape)} strides {list(argument.stride())}"
    return str(argument)


def _write_convolutions(call: Call, path: Path) -> None:
    """No file where there is none."""
    with _Convolutions() as seen:
        call()
    if seen.counts:
        lines = ((count, name, "; ".join(arguments)) for (name, *arguments), count in seen.counts.most_common())
        write_table(path, ("count", "operator", "arguments"), lines)


def _write_aten(bench: Bench, path: Path) -> None:
    """Graphs of aten operators, forward and backward, as AOTAutograd hands them to a compiler; and what it found out about each."""
    from functorch.compile import make_boxed_func  # type: ignore[import-untyped]
    from torch._dynamo.backends.common import aot_autograd

    written = io.StringIO()

    def keep(kind: str) -> Callable[[torch.fx.GraphModule, list[Any]], Any]:
        def compiler(graph: torch.fx.GraphModule, inputs: list[Any]) -> Any:
            written.write(f"# {kind}\n{graph.print_readable(print_output=False)}\n")
            return make_boxed_func(graph.forward)

        return compiler

    torch._dynamo.reset()
    subject = copy_of(bench.subject)
    compiled: Callable[..., Outputs] = torch.compile(
        subject.model, backend=aot_autograd(fw_compiler=keep("forward"), bw_compiler=keep("backward"))
    )
    step_of(subject, bench.cell, compiled).run()
    path.write_text(written.getvalue(), encoding="utf-8")
