"""A session of ONNX Runtime on a provider, and as a callable whose inputs and outputs are torch's own memory."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils import _pytree as pytree
from torch.utils.dlpack import from_dlpack

from harness.backends.onnx_export import Exported
from harness.backends.packages import need
from harness.protocols import FellBack, Outputs, Unsupported

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
BELOW = {"cpu": (), "cuda": ("cpu",), "tensorrt": ("cuda", "cpu")}
"""Who runs what a provider has no kernel for."""
LEVELS = {
    "disable": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "layout": "ORT_ENABLE_LAYOUT",
    "all": "ORT_ENABLE_ALL",
}

TYPES: Mapping[torch.dtype, tuple[int, str]] = {
    torch.float32: (1, "tensor(float)"),
    torch.uint8: (2, "tensor(uint8)"),
    torch.int8: (3, "tensor(int8)"),
    torch.uint16: (4, "tensor(uint16)"),
    torch.int16: (5, "tensor(int16)"),
    torch.int32: (6, "tensor(int32)"),
    torch.int64: (7, "tensor(int64)"),
    torch.bool: (9, "tensor(bool)"),
    torch.float16: (10, "tensor(float16)"),
    torch.float64: (11, "tensor(double)"),
    torch.uint32: (12, "tensor(uint32)"),
    torch.uint64: (13, "tensor(uint64)"),
    torch.bfloat16: (16, "tensor(bfloat16)"),
}
"""ONNX's number of an element type (``TensorProto.DataType``), and ONNX Runtime's name of it. IOBinding takes the numbers for all of
them; numpy, which it takes as well, has no bfloat16."""
_OF_NAME = {name: dtype for dtype, (_, name) in TYPES.items()}

STOP_SPINNING = ("session.force_spinning_stop", "1")
"""The session's threads leave the processors as a call ends. Else they wait busily for the next one, while eager takes its turn on the
same processors: on two of them, a convolution of 0.11 ms then took eager 0.19 ms, and ONNX Runtime 0.11 instead of 0.06."""

LEGACY_STREAM = 1
"""CUDA's own handle of its default stream (``cudaStreamLegacy``). ONNX Runtime takes 0, which is torch's, for no stream at all, and would
work on one that torch's events do not see."""


@dataclass(frozen=True, kw_only=True)
class SessionSettings:
    provider: str
    level: str
    threads: int
    device: torch.device
    """Where the inputs and outputs are."""

    @property
    def on_torch_stream(self) -> bool:
        """Whether a call returns before its work is done, as torch's do."""
        return self.device.type == "cuda"

    @property
    def index(self) -> int:
        return self.device.index or 0


def open_session(path: Path, settings: SessionSettings, profile: Path | None = None) -> Any:
    """profile: where to begin a profile of every node; None: none is kept.

    Raises Unsupported where this build lacks the provider or a kernel, FellBack where the provider is listed and was dropped: its
    libraries or its device are not there, which ONNX Runtime only logs.
    """
    runtime = need("onnxruntime")
    wanted = [PROVIDERS[name] for name in (settings.provider, *BELOW[settings.provider])]
    require_listed(runtime, settings.provider)
    if settings.provider != "cpu" and hasattr(runtime, "preload_dlls"):
        runtime.preload_dlls(directory="")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = settings.threads
    level = getattr(runtime.GraphOptimizationLevel, LEVELS[settings.level], None)
    if level is None:
        raise Unsupported(f"onnxruntime {runtime.__version__} has no optimisation level {settings.level!r}")
    options.graph_optimization_level = level
    options.add_session_config_entry(*STOP_SPINNING)
    options.use_deterministic_compute = torch.are_deterministic_algorithms_enabled()
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    try:
        session = runtime.InferenceSession(
            str(path), options, providers=wanted, provider_options=[_options(name, settings) for name in wanted]
        )
    except Exception as error:
        if type(error).__name__ != "NotImplemented":
            raise
        raise Unsupported(f"onnxruntime {runtime.__version__} has no kernel for this model on {', '.join(wanted)}: {error}") from None
    require_kept(session, settings.provider)
    return session


def require_listed(runtime: Any, provider: str) -> None:
    available = runtime.get_available_providers()
    if PROVIDERS[provider] not in available:
        raise Unsupported(
            f"onnxruntime {runtime.__version__} of this image is built without {PROVIDERS[provider]}: it has {', '.join(available)}"
        )


def require_kept(session: Any, provider: str) -> None:
    """Raises FellBack where a session does without the provider that it was asked for."""
    kept = session.get_providers()
    if PROVIDERS[provider] not in kept:
        raise FellBack(
            f"onnxruntime dropped {PROVIDERS[provider]} and would have run on {', '.join(kept)}: the provider's libraries, or its device, "
            "are not there; the log has its words"
        )


def _options(name: str, settings: SessionSettings) -> dict[str, str]:
    """A provider's, so that it has the settings that torch has (``harness.numerics``) and, for torch's tensors, torch's stream."""
    if name == PROVIDERS["cpu"]:
        return {}
    options = {"device_id": str(settings.index)}
    if settings.on_torch_stream:
        options["user_compute_stream"] = str(_stream(settings.index) or LEGACY_STREAM)
    if name == PROVIDERS["cuda"]:
        options["use_tf32"] = str(int(torch.backends.cuda.matmul.allow_tf32))
        options["cudnn_conv_algo_search"] = "EXHAUSTIVE" if torch.backends.cudnn.benchmark else "HEURISTIC"
    return options


def _stream(index: int) -> int:
    return int(torch._C._cuda_getCurrentRawStream(index))


class BoundCall:
    """Takes the place of the model. Inputs are read where they are and outputs written where they were the last time: results of a call
    are valid until the next one, as those of a replayed CUDA graph are (the harness copies what it keeps).

    Nothing is copied in a call, but inputs that are not contiguous: ONNX has no strides. Outputs whose shapes depend on data are
    allocated by ONNX Runtime in every call, and handed over by DLPack.
    """

    def __init__(self, session: Any, exported: Exported, settings: SessionSettings) -> None:
        runtime = need("onnxruntime")
        self._binding = session.io_binding()
        self.session = session
        self._run_options = runtime.RunOptions()
        if settings.on_torch_stream:
            # As torch does: the work is in the stream, and who wants its result waits.
            self._run_options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        self._index = settings.index
        self._own_stream = _stream(settings.index) if settings.on_torch_stream else None
        self._form = exported.form
        self._positions = _positions(session, exported.inputs)
        self._bound: tuple[tuple[torch.Tensor, int], ...] = ()
        self._copies: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._outputs = [_Output(meta, device) for meta, device in zip(session.get_outputs(), exported.form.devices, strict=True)]
        self._static = all(output.buffer is not None for output in self._outputs)
        self._results: Outputs = None
        self.calls_bound = 0
        """How often inputs were bound; 0: it was never called."""

    @property
    def copied(self) -> list[str]:
        """Inputs that are copied in every call."""
        return [name for name, index in self._positions.items() if not self._bound[index][0].is_contiguous()]

    def __call__(self, *arguments: Any) -> Outputs:
        leaves = arguments if all(type(argument) is torch.Tensor for argument in arguments) else _leaves(arguments)
        if len(leaves) != len(self._bound) or any(
            leaf is not tensor or leaf.data_ptr() != address for leaf, (tensor, address) in zip(leaves, self._bound, strict=True)
        ):
            self._bind(leaves)
        if self._own_stream is not None and _stream(self._index) != self._own_stream:
            raise RuntimeError(
                "onnxruntime works on the stream that its session was made for; it can be neither called nor captured on another"
            )
        for source, copy in self._copies:
            copy.copy_(source)
        if not self._static:
            self._bind_outputs()
        self.session.run_with_iobinding(self._binding, self._run_options)
        return self._results if self._static else self._collect()

    def _bind(self, leaves: Sequence[torch.Tensor]) -> None:
        self._copies.clear()
        for name, index in self._positions.items():
            tensor = leaves[index]
            if not tensor.is_contiguous():
                copy = torch.empty_like(tensor, memory_format=torch.contiguous_format)
                self._copies.append((tensor, copy))
                tensor = copy
            self._binding.bind_input(
                name, tensor.device.type, tensor.device.index or 0, element_type(tensor.dtype), tuple(tensor.shape), tensor.data_ptr()
            )
        self._bind_outputs()
        if self._static:
            self._results = self._form.rebuild([output.buffer for output in self._outputs if output.buffer is not None])
        self._bound = tuple((leaf, leaf.data_ptr()) for leaf in leaves)
        self.calls_bound += 1

    def _bind_outputs(self) -> None:
        for output in self._outputs:
            output.bind(self._binding)

    def _collect(self) -> Outputs:
        values = self._binding.get_outputs()
        return self._form.rebuild([output.tensor(value) for output, value in zip(self._outputs, values, strict=True)])


class _Output:
    """One output of a session."""

    def __init__(self, meta: Any, device: torch.device) -> None:
        self.name: str = meta.name
        self._device = device
        if meta.type not in _OF_NAME:
            raise Unsupported(f"the output {meta.name} is a {meta.type}, which torch has no tensor for")
        self._dtype = _OF_NAME[meta.type]
        self.buffer: torch.Tensor | None = None
        """None where its shape is known only after a call."""
        if all(isinstance(size, int) for size in meta.shape):
            self.buffer = torch.empty(meta.shape, dtype=self._dtype, device=device)

    def bind(self, binding: Any) -> None:
        place = (self.name, self._device.type, self._device.index or 0)
        if self.buffer is None:
            binding.bind_output(*place)
        else:
            binding.bind_output(*place, element_type(self.buffer.dtype), tuple(self.buffer.shape), self.buffer.data_ptr())

    def tensor(self, value: Any) -> torch.Tensor:
        if self.buffer is not None:
            return self.buffer
        found: torch.Tensor = from_dlpack(value)
        # DLPack had no boolean for long, and a byte in its place.
        return found.view(self._dtype) if found.dtype != self._dtype else found


def element_type(dtype: torch.dtype) -> int:
    if dtype not in TYPES:
        raise Unsupported(f"onnxruntime has no tensors of {dtype}")
    return TYPES[dtype][0]


def _leaves(arguments: tuple[Any, ...]) -> Sequence[torch.Tensor]:
    return [leaf for leaf in pytree.tree_leaves(arguments) if isinstance(leaf, torch.Tensor)]


def _positions(session: Any, names: tuple[str, ...]) -> dict[str, int]:
    """Which of the model's input tensors each of the session's inputs is."""
    return {meta.name: names.index(meta.name) for meta in session.get_inputs()}


Placed = dict[str, dict[str, int]]
"""Provider -> type of operator -> nodes."""


def nodes_by_provider(session: Any, call: Callable[[], object]) -> tuple[Placed, list[dict[str, str]]]:
    """Where each node of a session with a profile runs: how many of each type, and all of them. The profile's file is removed.

    A node in a loop is one, however often it runs.
    """
    call()
    path = Path(session.end_profiling())
    try:
        events = json.loads(path.read_text(encoding="utf-8"))
    finally:
        path.unlink(missing_ok=True)
    nodes: dict[tuple[str, str], dict[str, str]] = {}
    for event in events:
        arguments = event.get("args", {})
        if event.get("cat") == "Node" and "provider" in arguments:
            name = event["name"].removesuffix("_kernel_time")
            nodes[name, arguments.get("node_index", "")] = {
                "node": name,
                "operator": arguments.get("op_name", ""),
                "provider": arguments["provider"],
            }
    counted: dict[str, Counter[str]] = {}
    for node in nodes.values():
        counted.setdefault(node["provider"], Counter())[node["operator"]] += 1
    return {provider: dict(counter.most_common()) for provider, counter in counted.items()}, list(nodes.values())


def judge(placed: Placed, provider: str) -> Placed:
    """The nodes that run elsewhere than they were asked to. Raises FellBack where all of them do."""
    elsewhere = {name: operators for name, operators in placed.items() if name != PROVIDERS[provider]}
    if elsewhere and PROVIDERS[provider] not in placed:
        raise FellBack(f"no node ran on {PROVIDERS[provider]}: {json.dumps(elsewhere, sort_keys=True)}")
    return elsewhere
