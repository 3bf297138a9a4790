"""From samples to columns: latencies by clock, ratios with their intervals, and what makes them less than they look."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np

from harness.experiments.checking import Checked
from harness.measure.ceilings import Ceilings, share_of_limit
from harness.measure.clock import DEVICE, EMPTY_CALLS, HOST
from harness.measure.sampling import Measurement
from harness.measure.stability import drift, modes
from harness.protocols import Bench, Clock, Report
from harness.records import Warn

EAGER, BACKEND = "eager", "backend"
UNDISTURBED = 0.05


def report_timing(measured: Measurement, checked: Checked, bench: Bench) -> None:
    clock, report = bench.clock, bench.report
    first = clock.gauges[0].name
    host = {variant: statistics.median(measured.seconds(variant, HOST)) for variant in (EAGER, BACKEND)}
    speedup = measured.ratio(EAGER, BACKEND, HOST)
    compilation = max(0.0, checked.prepare_seconds + checked.first_call_seconds - host[BACKEND]) if bench.backend.compiles else None
    report.set(
        speedup=speedup.estimate,
        speedup_low=speedup.low,
        speedup_high=speedup.high,
        abs_latency=host[BACKEND] * 1e3,
        eager_latency_seconds=host[EAGER],
        backend_latency_seconds=host[BACKEND],
        eager_p05_seconds=undisturbed(measured.seconds(EAGER, HOST)),
        backend_p05_seconds=undisturbed(measured.seconds(BACKEND, HOST)),
        backend_slice_seconds=" ".join(f"{undisturbed(seconds):.6g}" for seconds in measured.by_slice(BACKEND, HOST)),
        compilation_latency=compilation,
        break_even_calls=break_even_calls(compilation, host[EAGER], host[BACKEND]),
        eager_calls_per_sample=measured.calls[EAGER, first],
        backend_calls_per_sample=measured.calls[BACKEND, first],
    )
    _report_tokens(host, bench)
    for warning in warnings(measured, first, bench.spec.sampling.width):
        report.warn(warning)
    if first == DEVICE:
        _report_device(measured, host, report)
    _report_empty_calls(clock, report)
    _report_limits(measured, bench)


def undisturbed(seconds: Sequence[float]) -> float:
    """The 5th percentile of at least one sample. Unlike the least one it does not fall the more samples are taken."""
    return float(np.quantile(seconds, UNDISTURBED))


def break_even_calls(compilation: float | None, eager: float, backend: float) -> float | None:
    """Calls after which ``compilation`` seconds are earned back; None where they never are."""
    return compilation / (eager - backend) if compilation is not None and eager > backend else None


def warnings(measured: Measurement, clock: str, width: float) -> list[Warn]:
    """What the samples of one launch say against themselves. Pure."""
    latencies = [measured.seconds(variant, clock) for variant in (EAGER, BACKEND)]
    found = {
        Warn.SHORT_SAMPLES: len(measured.marks) < measured.minimum,
        Warn.WIDE_INTERVAL: measured.ratio(EAGER, BACKEND, clock).width > width,
        Warn.UNSTEADY: not measured.steady,
        Warn.DRIFT: any(drift(values) for values in latencies),
        Warn.UNSTABLE: any(modes(values) for values in latencies),
    }
    return [warning for warning, is_so in found.items() if is_so]


def _report_tokens(host: dict[str, float], bench: Bench) -> None:
    subject = bench.subject
    for variant, prefix in ((EAGER, "eager_"), (BACKEND, "")):
        if subject.tokens is not None:
            bench.report.set(**{f"{prefix}tokens_per_second": subject.tokens / host[variant]})
        if subject.first_token:
            bench.report.set(**{f"{prefix}time_to_first_token_seconds": host[variant]})


def _report_device(measured: Measurement, host: dict[str, float], report: Report) -> None:
    device = {variant: statistics.median(measured.seconds(variant, DEVICE)) for variant in (EAGER, BACKEND)}
    speedup = measured.ratio(EAGER, BACKEND, DEVICE)
    report.set(
        eager_device_seconds=device[EAGER],
        backend_device_seconds=device[BACKEND],
        device_speedup=speedup.estimate,
        device_speedup_low=speedup.low,
        device_speedup_high=speedup.high,
        eager_host_overhead_seconds=host[EAGER] - device[EAGER],
        backend_host_overhead_seconds=host[BACKEND] - device[BACKEND],
    )


def _report_empty_calls(clock: Clock, report: Report) -> None:
    for gauge in clock.gauges:
        column = "empty_device_seconds" if gauge.name == DEVICE else "empty_call_seconds"
        # As many as fill a millisecond: a call that does nothing may still be waited for.
        calls = min(EMPTY_CALLS, gauge.calls(gauge.time(gauge.empty, 1), 1e-3))
        report.set(**{column: statistics.median(gauge.time(gauge.empty, calls) for _ in range(5))})


def _report_limits(measured: Measurement, bench: Bench) -> None:
    """Of a forward call: what is declared of flops and bytes knows no backward."""
    cell, spec, subject, clock = bench.cell, bench.spec, bench.subject, bench.clock.gauges[0].name
    known = (spec.ceilings or {}).get(cell.device)
    if known is None or cell.mode != "inference":
        return
    ceilings = Ceilings.from_json(known)
    for variant in (EAGER, BACKEND):
        share = share_of_limit(
            ceilings,
            flops=subject.flops,
            bytes_moved=subject.bytes_moved,
            precision=cell.precision,
            seconds=statistics.median(measured.seconds(variant, clock)),
            cold=measured.cache == "cold",
            tf32=spec.numerics.tf32,
        )
        bench.report.set(**{f"{variant}_limit_share": share})
