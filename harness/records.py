"""The record: columns of ``results.csv`` and ``samples.csv``, statuses and warnings.

Standard library only: written inside the image, read by the host. A value that was not measured is an empty field, never 0.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

REASON_LIMIT = 2000
"""Characters of a reason that a row keeps; the log has all of it."""


BY_FORM = "form"
"""In the column ``compared_by``: no two runs of eager agree, so values were not compared."""


class Status:
    """What became of a cell. The ancestor's own words where it has one."""

    PASS = "pass"
    FAIL_ACCURACY = "fail_accuracy"
    EAGER_FAIL_TO_RUN = "eager_fail_to_run"
    EAGER_TWO_RUNS_DIFFER = "eager_two_runs_differ"
    FAIL_TO_RUN = "fail_to_run"
    MODEL_FAIL_TO_LOAD = "model_fail_to_load"
    OOM = "OOM"
    TIMEOUT = "timeout"
    PASS_DUE_TO_SKIP = "pass_due_to_skip"
    """It ran, and its result was not compared, since two runs of eager differ, as a suite's data say of the workload."""
    UNSUPPORTED = "unsupported"
    FALLBACK = "fallback"
    """The backend ran elsewhere than it was asked to: on another provider, or not at all compiled. It has no times."""
    INFRA_ERROR = "infra_error"
    CRASH_PREFIX = "crash:"

    PASSED = frozenset({PASS, PASS_DUE_TO_SKIP})
    """Of what ran, and is right as far as it can be checked: it has times."""
    CLOSED = frozenset(
        {
            PASS,
            FAIL_ACCURACY,
            EAGER_FAIL_TO_RUN,
            EAGER_TWO_RUNS_DIFFER,
            FAIL_TO_RUN,
            MODEL_FAIL_TO_LOAD,
            OOM,
            TIMEOUT,
            PASS_DUE_TO_SKIP,
            UNSUPPORTED,
            FALLBACK,
            INFRA_ERROR,
        }
    )

    @staticmethod
    def crash(cause: str) -> str:
        """``crash:SIGSEGV`` for a signal, ``crash:exit3`` for a process that left without finishing."""
        return f"{Status.CRASH_PREFIX}{cause}"

    @staticmethod
    def is_among(status: str, words: Iterable[str]) -> bool:
        """Whether it is one of these, of which ``crash`` means any."""
        return any(status == word or (word == CRASH and status.startswith(Status.CRASH_PREFIX)) for word in words)

    @staticmethod
    def is_known(status: str) -> bool:
        return status in Status.CLOSED or re.fullmatch(r"crash:(SIG[A-Z0-9]+|exit\d+)", status) is not None


CRASH = Status.CRASH_PREFIX.removesuffix(":")
"""Any crash, where statuses are named."""
ENDS = (*sorted(Status.CLOSED), CRASH)
"""What a cell may end as, in the words that name it."""


class Warn(str, Enum):
    """What makes a row's numbers less than they look: a column, not a log line."""

    SHORT_SAMPLES = "short_samples"
    """Calls are so long that the time budget ended before the wanted number of samples."""
    WIDE_INTERVAL = "wide_interval"
    """The time budget ended before the interval of the ratio was as narrow as wanted."""
    UNSTEADY = "unsteady"
    """Calls were still getting faster when warming up was given up, or when they were sampled."""
    DRIFT = "drift"
    """Latencies at the end of the sampling differ from those at its beginning."""
    UNSTABLE = "unstable"
    """Latencies fall into modes, within a launch or between launches: a median is one of several answers."""
    CONTENDED = "contended"
    """Something else wanted the processor, or the GPU, while samples were taken."""
    THROTTLED = "throttled"
    """Processor or GPU was held back by heat, by a fault or by a quota while samples were taken."""
    POWER_CAPPED = "power_capped"
    """The work takes more power than the GPU may draw: its clock goes by that, here as anywhere. No sample is marked for it."""
    UNPINNED_ALLOCATOR = "unpinned_allocator"
    """The allocator is as the image has it; glibc's moves its thresholds as it runs: latencies can differ by launch."""
    SETTINGS_CHANGED = "settings_changed"
    """Workload or backend changed torch's settings (TF32, cuDNN, determinism, threads): they are not those of the manifest."""
    FALLBACK = "fallback"
    """Part of the workload (or all of it: see the status) ran elsewhere than the backend was asked to; the evidence says what."""
    COSTS_INCOMPLETE = "costs_incomplete"
    """Memory, energy, copies or graph time could not be measured, after the times were; the reason says why."""
    WARM_COMPILE_FAILED = "warm_compile_failed"
    """A second process could not use the first one's compile caches, or its result differs; the reason says why."""
    NO_FP64_REFERENCE = "no_fp64_reference"
    """The workload does not run in float64, or draws other random numbers there: the result was compared with eager alone."""
    EAGER_INEXACT = "eager_inexact"
    """A gradient of eager's own is far from float64 (``eager_error``): there, hardly anything is wrong enough to be found."""
    RECOMPILED = "recompiled"
    """The backend compiled again after the result was checked."""
    LAUNCH_DIED = "launch_died"
    """The launch was up, and ended or hung without having measured the cell: no engine's doing (see ``infra_error``)."""
    GRAPH_BREAKS = "graph_breaks"
    """Part of the workload ran outside of the compiled graphs."""
    OUTPUTS_DIFFER = "outputs_differ"
    """They are beyond the tolerance from those that an earlier run has kept: ``outputs_compared`` says which."""
    OUTPUTS_NOT_COMPARED = "outputs_not_compared"
    """They were to be compared with an earlier run's and could not be: ``outputs_compared`` says why."""
    OUTPUTS_NOT_KEPT = "outputs_not_kept"
    """They are larger than what is kept of a row."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one launch says of one cell. Field order is column order; the ancestor's columns come first, in its units."""

    # The ancestor's columns: latency in milliseconds, compilation in seconds, memory in gigabytes.
    dev: str = ""
    name: str = ""
    batch_size: int | None = None
    speedup: float | None = None
    """Eager's host time over the backend's: Hodges-Lehmann estimate over the rounds."""
    abs_latency: float | None = None
    """Median host time of the backend, in milliseconds."""
    compilation_latency: float | None = None
    """Seconds of preparing the backend and of its first call, beyond its median host time, from empty caches: compiling, and what it loads
    for that."""
    compression_ratio: float | None = None
    """``eager_peak_mem / dynamo_peak_mem``."""
    eager_peak_mem: float | None = None
    """Weights, inputs, and the peak of one warm call beyond them; not what a backend keeps between calls."""
    dynamo_peak_mem: float | None = None
    calls_captured: int | None = None
    unique_graphs: int | None = None
    graph_breaks: int | None = None
    unique_graph_breaks: int | None = None
    autograd_captures: int | None = None
    autograd_compiles: int | None = None
    cudagraph_skips: int | None = None

    # Whose row it is.
    run: str = ""
    image: str = ""
    tag: str = ""
    """The user's own word for the run."""
    experiment: str = ""
    """What was measured; empty in the ancestor's files, and in those of versions that had nothing but ``performance``."""
    launch: int = 0
    attempt: int = 0
    cell: str = ""
    suite: str = ""
    backend: str = ""
    mode: str = ""
    precision: str = ""
    shapes: str = ""
    planned_batch_size: int | None = None
    """As the plan asks for it; ``batch_size`` is as run, where the workload's shapes name it."""
    options: str = ""

    # What became of it.
    status: str = ""
    reason: str = ""
    warnings: str = ""
    """Names of ``Warn``, joined by ``;``."""
    phase: str = ""
    """The last thing that the cell's process began."""

    # What was measured.
    eager_latency_seconds: float | None = None
    """Median host time: a wall clock from the call to the end of its work, the device's included. Seconds per call, as all that follow."""
    backend_latency_seconds: float | None = None
    eager_p05_seconds: float | None = None
    """The 5th percentile of host time: what a call takes while nothing else disturbs it. Other load on a host only ever adds to a time, so
    that launches differ by less in it than in the median (Chen and Revels 2016)."""
    backend_p05_seconds: float | None = None
    backend_slice_seconds: str = ""
    """The same of each slice, separated by spaces, where launches took turns: the k-th is beside the k-th of the launch with the same
    ``attempt`` of the same block, and compares with it."""
    speedup_low: float | None = None
    """Bounds of the 95 % interval of ``speedup``."""
    speedup_high: float | None = None
    eager_device_seconds: float | None = None
    """Median device time, by the device's own events; empty where the device is the host."""
    backend_device_seconds: float | None = None
    device_speedup: float | None = None
    device_speedup_low: float | None = None
    device_speedup_high: float | None = None
    eager_host_overhead_seconds: float | None = None
    """Host time less device time: what launching costs."""
    backend_host_overhead_seconds: float | None = None
    eager_graph_seconds: float | None = None
    """Device time of a call in a replayed CUDA graph, where the call can be captured."""
    backend_graph_seconds: float | None = None
    transfer_seconds: float | None = None
    """Copying the inputs to the device and the outputs back; in no other time."""
    empty_call_seconds: float | None = None
    """What the host clock reads for a call that does nothing; in every host time."""
    empty_device_seconds: float | None = None
    """What the device clock reads for a kernel that does nothing."""
    tokens: int | None = None
    """Of generation: tokens that one call reads (prefill) or makes (decode), those of all sequences together."""
    eager_tokens_per_second: float | None = None
    """``tokens`` over the median host time."""
    tokens_per_second: float | None = None
    """The same of the backend."""
    eager_time_to_first_token_seconds: float | None = None
    """Of prefill: median host time until the logits of the first new token are there, from a warm start."""
    time_to_first_token_seconds: float | None = None
    """The same of the backend."""
    cache: str = ""
    """State of a GPU's last-level cache before a call: ``cold`` (flushed) or ``hot``."""
    samples: int | None = None
    """Rounds of samples that count."""
    samples_marked: int | None = None
    """Rounds taken under throttling or contention: left out where enough others are there. Empty where nothing tells."""
    eager_calls_per_sample: int | None = None
    """Of the clock that the cell goes by: device time where there is one, else host time."""
    backend_calls_per_sample: int | None = None
    warmup_seconds: float | None = None
    """Until both were steady."""
    threads: int | None = None
    """Threads inside an operator."""

    first_call_seconds: float | None = None
    """From empty compile caches. Where a run finds those that an earlier one has kept, what is of empty ones is empty."""
    warm_first_call_seconds: float | None = None
    """In a second process, which finds the first one's compile caches. Libraries are loaded, by eager calls, before either first call."""
    warm_compilation_seconds: float | None = None
    """``compilation_latency``, of the second process."""
    first_result_seconds: float | None = None
    """From the start of Python to the backend's first result: imports, loading, compiling, the call; empty caches."""
    warm_first_result_seconds: float | None = None
    break_even_calls: float | None = None
    """Calls after which compiling has paid for itself; empty where the backend is not faster."""
    dynamo_seconds: float | None = None
    """Of the first call: tracing Python to graphs, without the backend's part."""
    backend_compile_seconds: float | None = None
    """Of the first call: what the backend made of the graphs, the backward ones included."""
    codegen_seconds: float | None = None
    """Of that: generating code and compiling it."""
    export_seconds: float | None = None
    """Of the first call or before it: turning the workload into the backend's format (torch.export, ONNX)."""
    export_error: str = ""
    """Why it could not be: the rule, and the exporter's words."""
    save_seconds: float | None = None
    """Before the first call: writing what was compiled into what would be shipped."""
    load_seconds: float | None = None
    """Before the first call: reading that back, until it can be called."""
    artifact_bytes: int | None = None
    """Size of what would be shipped: a packaged or exported model, its weights included; of ``precompiled`` without them."""
    recompiles: int | None = None
    guards: int | None = None
    """That dynamo checks before it runs what it has compiled."""
    overhead_seconds: float | None = None
    """What dynamo adds to a call of eager by itself: guards and graphs that run as they were captured. Below 0 where it saves Python."""
    overhead_seconds_low: float | None = None
    """Bounds of the 95 % interval."""
    overhead_seconds_high: float | None = None
    graph_calls: int | None = None
    """Calls of captured graphs in one call of the workload. This and the four that follow: under the ancestor's names."""
    captured_ops: int | None = None
    """Operators that ran in them."""
    total_ops: int | None = None
    """Operators of one call in eager."""
    unique_ops: int | None = None
    """Operators with arguments of different forms."""
    recorded_calls: int | None = None
    """Of a recorded operator: its calls in one call of the workload that it was recorded of."""
    pct_ops: float | None = None
    """Share of operators that ran in graphs: 1 is all."""
    pct_time: float | None = None
    """Share of a call's time that is spent in graphs, by the clock that cells are compared by. Above 1 is what noise has added."""
    pct_time_low: float | None = None
    """Bounds of the 95 % interval."""
    pct_time_high: float | None = None
    cache_hits: int | None = None
    """Graphs found in inductor's cache; 0 for a compilation from empty caches."""
    cache_misses: int | None = None
    warm_cache_hits: int | None = None
    """The same in the second process."""

    image_bytes: int | None = None
    """Size of the image on the engine's disk, and as a registry transfers it."""
    image_compressed_bytes: int | None = None

    held_bytes: int | None = None
    """Weights, buffers and inputs."""
    eager_peak_beyond_bytes: int | None = None
    """Peak of one warm call beyond what was held before it: of the resident set on a CPU, of torch's allocator on a GPU."""
    backend_peak_beyond_bytes: int | None = None
    eager_peak_reserved_bytes: int | None = None
    """Most that torch's GPU allocator had taken from the driver."""
    backend_peak_reserved_bytes: int | None = None
    process_gpu_bytes: int | None = None
    """GPU memory of the whole process, both variants', by the driver: what torch's allocator does not know is in it."""

    eager_joules: float | None = None
    """Energy of the whole processor or GPU per call, idle power included."""
    backend_joules: float | None = None
    eager_watts: float | None = None
    backend_watts: float | None = None

    eager_limit_share: float | None = None
    """Share of the roofline that is reached; above 1 where data stays in a cache that the ceiling does not know."""
    backend_limit_share: float | None = None

    cpu_waiting: float | None = None
    """Share of the timed region in which the cell's own threads could run and waited for a processor; of all that they wanted, where several
    wanted one at once. Empty where the kernel does not tell."""
    cpu_pressure: float | None = None
    """Share of the timed region in which anything on the machine waited for a processor, averaged over the busy ones."""
    cpu_steal: float | None = None
    """Share of processor time that the hypervisor gave to others."""
    cpu_throttled: float | None = None
    """Share of the timed region in which the control group's quota held processes back."""
    cpu_others: float | None = None
    """Share of processor time that other processes used."""
    cpu_mhz: float | None = None
    load: float | None = None
    sm_clock_mhz: float | None = None
    """Median over the timed region, as are temperature and power."""
    memory_clock_mhz: float | None = None
    temperature_celsius: float | None = None
    power_watts: float | None = None
    throttle_reasons: str = ""
    other_gpu_processes: int | None = None
    eager_error: float | None = None
    """Largest relative root-mean-square error of an output of eager against float64 (see ``measure.accuracy``)."""
    backend_error: float | None = None
    eager_max_error: float | None = None
    """Largest error of one element of an output of eager, over the root mean square of that output in float64."""
    worst_precision: str = ""
    """Of those that the workload and the device can run: the one with the largest error of an output."""
    worst_output: str = ""
    """That output, by its place in what a call yields."""
    worst_error: float | None = None
    """Its error as in ``eager_error``; empty where it is not finite, which the reason says."""
    worst_max_error: float | None = None
    """Its error as in ``eager_max_error``."""
    dynamic: str = ""
    """Which dimensions were symbols: the ``batch``'s, ``unbacked`` or ``whole`` shapes."""
    shapes_measured: int | None = None
    """Batch sizes that one compilation met; ``speedup`` is of the first."""
    speedup_mean: float | None = None
    """Over these, as are median and variance (of the sample: n - 1)."""
    speedup_median: float | None = None
    speedup_variance: float | None = None
    changes_met: int | None = None
    """Calls that differed from those before in something: the size of the batch, gradients, layout; each made twice."""
    recompile_reasons: int | None = None
    """Different guards that failed."""
    fastest: str = ""
    """Of several backends; ``speedup`` is its own."""
    backends_passed: int | None = None
    backends_failed: int | None = None
    eager_repeatable: int | None = None
    """1 where calls from the same state gave the same bits, 0 where they did not."""
    backend_repeatable: int | None = None
    eager_repeat_difference: float | None = None
    """Largest difference of an element between these calls, over the root mean square of its output."""
    backend_repeat_difference: float | None = None
    eager_batch_invariant: int | None = None
    """1 where the rows of half a batch are the bits that they are in the whole one; empty where rows have no results of their own."""
    backend_batch_invariant: int | None = None
    eager_batch_difference: float | None = None
    backend_batch_difference: float | None = None
    largest_batch_size: int | None = None
    """The largest that was found to fit into memory."""
    cache_lookup_seconds: float | None = None
    """Of a call, by the profiler: finding the compiled code by its guards."""
    tolerance: float | None = None
    """Absolute and relative, of an element; 1 - cosine similarity where ``compared_by`` says so."""
    loss_scale: float | None = None
    """What the loss was multiplied by, and gradients divided by: in training with float16 autocast."""
    compared_by: str = ""
    """How the backend's results were compared with eager's: ``elements``, ``cosine`` (direction), or ``form`` (shapes and types alone)."""
    minified: str = ""
    """The small program that shows what is wrong, where one was asked for."""
    outputs_difference: float | None = None
    """Largest relative root-mean-square difference of an output, or a gradient, from the one that an earlier run has kept."""
    outputs_compared: str = ""
    """What came of that: ``same``, ``differ: ...`` or ``not compared: ...``; by the rule that compares the backend with eager."""
    debug: str = ""
    """What there is of the compilers' debug output of the cell once more, where it was asked for."""
    flops: int | None = None
    """Floating-point operations of one forward call, as the workload declares them."""
    bytes_moved: int | None = None
    """Bytes that one forward call must read and write, as the workload declares them."""
    evidence: str = ""
    """Proof that the backend ran: a JSON object."""
    wall_seconds: float | None = None
    """From the start of the cell's process to its end."""
    started_at: str = ""
    """UTC, ISO 8601."""
    log: str = ""
    """The cell's output, relative to the run directory."""
    artifacts: str = ""
    """Folder of what else it left, likewise."""


COLUMNS = tuple(field.name for field in dataclasses.fields(Row))
INTEGER_COLUMNS = frozenset(field.name for field in dataclasses.fields(Row) if "int" in str(field.type))
FLOAT_COLUMNS = frozenset(field.name for field in dataclasses.fields(Row) if "float" in str(field.type))

MEASURED_COLUMNS = frozenset(COLUMNS[COLUMNS.index("batch_size") : COLUMNS.index("run")]) | frozenset(
    COLUMNS[COLUMNS.index("eager_latency_seconds") : COLUMNS.index("wall_seconds")]
)
"""What a cell's process may say; everything else of its row is said by the launch."""

ANCESTOR_COLUMNS = COLUMNS[: COLUMNS.index("run")]


class Taken(NamedTuple):
    """A sample as the cell's process takes it; see ``Sample``."""

    variant: str
    clock: str
    started_seconds: float
    seconds: float
    calls: int
    mark: str = ""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One timed batch of calls of one variant of one cell in one launch: a line of ``samples.csv``."""

    launch: int
    attempt: int
    cell: str
    variant: str
    """``eager`` or ``backend``."""
    clock: str
    """``host``, ``device`` or ``graph``: never to be mixed."""
    index: int
    """Order in which the sample was taken, over all variants and clocks."""
    started_seconds: float
    """Since the cell's first sample."""
    seconds: float
    """Per call."""
    calls: int
    mark: str = ""
    """``throttled`` or ``contended``: the state of the machine in the sample's round."""


SAMPLE_COLUMNS = tuple(field.name for field in dataclasses.fields(Sample))

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]+")


def one_line(text: str, limit: int = REASON_LIMIT) -> str:
    """Text as a CSV field holds it: without line breaks or control characters, so that a row is one line of the file."""
    flat = _UNPRINTABLE.sub(" ", text).strip()
    return flat if len(flat) <= limit else flat[: limit - 3] + "..."
