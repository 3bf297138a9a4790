"""A session of ONNX Runtime on a provider, and where each of its nodes runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from harness.backends.packages import need
from harness.protocols import FellBack, Unsupported

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
        options["user_compute_stream"] = str(current_stream(settings.index) or LEGACY_STREAM)
    if name == PROVIDERS["cuda"]:
        options["use_tf32"] = str(int(torch.backends.cuda.matmul.allow_tf32))
        options["cudnn_conv_algo_search"] = "EXHAUSTIVE" if torch.backends.cudnn.benchmark else "HEURISTIC"
    return options


def current_stream(index: int) -> int:
    """torch's, as CUDA names it; 0: the default stream."""
    return int(torch._C._cuda_getCurrentRawStream(index))


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
