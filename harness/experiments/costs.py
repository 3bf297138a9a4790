"""What a call costs besides time: memory, energy, copies; and its time without a host, in a CUDA graph.

After the samples, so that nothing of it is in them.
"""

from __future__ import annotations

import functools
import random
import statistics
import time

from harness.experiments.checking import Checked
from harness.experiments.sparing import spared
from harness.experiments.steps import Step
from harness.experiments.timing import BACKEND, EAGER
from harness.measure import nvml
from harness.measure.clock import GRAPH, HOST
from harness.measure.energy import energy_per_call, find_meter
from harness.measure.memory import held_bytes, keeps_history, peak_of, snapshot
from harness.measure.sampling import Measurement
from harness.protocols import Bench, Clock, Replay, Report
from harness.records import Taken

BYTES_PER_GIGABYTE = 1e9
"""The ancestor's."""
REPLAYS = 30


def report_costs(measured: Measurement, checked: Checked, bench: Bench) -> None:
    """What cannot be measured costs the cell nothing but that: its times are written down."""
    spec, clock, report = bench.spec, bench.clock, bench.report
    steps = {EAGER: checked.eager, BACKEND: checked.backend}
    order = random.Random(f"{spec.seed} {spec.launch} {bench.cell.id} costs")
    with spared("memory", report):
        _report_memory(steps, bench)
    if spec.sampling.energy_seconds > 0:
        with spared("energy", report):
            _report_energy(steps, measured, clock, spec.sampling.energy_seconds, order, report)
    if clock.device != "cpu":
        with spared("transfer", report):
            report.set(transfer_seconds=clock.transfer_seconds(bench.subject.inputs, steps[BACKEND].call()))
    if bench.ranks is not None:
        # What is replayed here is not made by the others.
        return
    # Last: a failed capture can leave a CUDA context in a state that nobody should measure in.
    with spared("graph", report):
        _report_graphs(steps, clock, measured.started, order, report)


def _report_memory(steps: dict[str, Step], bench: Bench) -> None:
    clock, subject, report = bench.clock, bench.subject, bench.report
    clock.release()
    held = held_bytes(subject.model, subject.inputs)
    report.set(held_bytes=held)
    if bench.spec.memory_snapshot and not keeps_history(clock.device):
        report.set(reason=f"no memory snapshot: torch keeps no history of what is allocated on the device {clock.device}")
    totals = {}
    for variant, step in steps.items():
        for each in steps.values():
            each.release()
        peak = peak_of(step.call, clock.device)
        if peak.beyond_bytes is None:
            print(f"no peak memory: {peak.reason}", flush=True)
            return
        totals[variant] = held + peak.beyond_bytes
        report.set(**{f"{variant}_peak_beyond_bytes": peak.beyond_bytes, f"{variant}_peak_reserved_bytes": peak.reserved_bytes})
        if bench.spec.memory_snapshot and keeps_history(clock.device):
            snapshot(step.call, report.artifact(f"memory-{variant}.pickle"))
    report.set(
        eager_peak_mem=totals[EAGER] / BYTES_PER_GIGABYTE,
        dynamo_peak_mem=totals[BACKEND] / BYTES_PER_GIGABYTE,
        compression_ratio=totals[EAGER] / totals[BACKEND] if totals[BACKEND] else None,
    )
    if clock.device == "cuda" and (gpu := nvml.of_torch_device(0)) is not None:
        report.set(process_gpu_bytes=gpu.process_bytes())


def _report_energy(
    steps: dict[str, Step], measured: Measurement, clock: Clock, energy_seconds: float, order: random.Random, report: Report
) -> None:
    gpu = nvml.of_torch_device(0) if clock.device == "cuda" else None
    meter = find_meter(clock.device, gpu)
    if meter is None:
        return
    # The second of two finds the device warmer: which it is, is chance.
    for variant, step in order.sample(list(steps.items()), len(steps)):
        seconds = statistics.median(measured.seconds(variant, HOST))
        batch = functools.partial(clock.run, step.call, one_call_seconds=seconds)
        energy = energy_per_call(batch, seconds, meter, minimum_seconds=energy_seconds)
        if energy is not None:
            report.set(**{f"{variant}_joules": energy.joules_per_call, f"{variant}_watts": energy.watts})


def _report_graphs(steps: dict[str, Step], clock: Clock, origin: float, order: random.Random, report: Report) -> None:
    replays: dict[str, Replay] = {}
    for variant, step in steps.items():
        try:
            replay = clock.replay(step.call)
        except Exception as error:  # noqa: BLE001  # a call that cannot be captured says so in its own way, and that is no fault
            print(f"{variant} cannot be captured in a CUDA graph: {type(error).__name__}: {error}", flush=True)
            continue
        if replay is not None:
            replays[variant] = replay
    turns = order.sample(list(replays) * REPLAYS, len(replays) * REPLAYS)
    samples = [Taken(variant, GRAPH, time.monotonic() - origin, replays[variant].seconds(), replays[variant].calls) for variant in turns]
    report.samples(samples)
    for variant in replays:
        seconds = statistics.median(sample.seconds for sample in samples if sample.variant == variant)
        report.set(**{f"{variant}_graph_seconds": seconds})
