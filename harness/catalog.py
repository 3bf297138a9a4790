"""The literal tables of what there is: name -> ``module:attribute``. Adding one is adding a file and a line.

Standard library only: the host plans with these names without having torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from harness.workloads.huggingface.table import ARCHITECTURES
from harness.workloads.timm_models.table import MODELS

BACKENDS: Mapping[str, str] = {
    "eager": "harness.backends.eager:Eager",
    "inductor": "harness.backends.inductor:Inductor",
    "precompiled": "harness.backends.precompiled:Precompiled",
    "cudagraphs": "harness.backends.cuda_graphs:CudaGraphs",
    "aot_eager": "harness.backends.dynamo:Dynamo",
    "ts": "harness.backends.dynamo:Dynamo",
    "export": "harness.backends.export:Export",
    "aot-inductor": "harness.backends.aot_inductor:AotInductor",
    "nativert": "harness.backends.nativert:NativeRt",
    "torchscript": "harness.backends.torchscript:TorchScript",
    "torchao": "harness.backends.torchao:TorchAo",
    "tensorrt": "harness.backends.tensorrt:TensorRt",
    "onnxruntime": "harness.backends.onnxruntime:OnnxRuntime",
    "xla": "harness.backends.xla:LazyTensors",
    "openxla": "harness.backends.xla:OpenXla",
}
BACKEND_FAMILIES: Mapping[str, str] = {
    "dynamo": "harness.backends.dynamo:Dynamo",
}
"""``family:name``, where the name is known only inside the image: ``dynamo:aot_eager`` is any backend that torch lists."""

DEVICES: Mapping[str, tuple[str, ...]] = {
    "eager": ("cpu", "cuda", "xla"),
    "xla": ("xla",),
    "openxla": ("xla",),
}
"""The devices that a backend runs on."""
USUAL_DEVICES = ("cpu", "cuda")
"""Those of a backend that is not in ``DEVICES``."""

INDUCTOR_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
TORCHSCRIPT_METHODS = ("trace", "script")
PRECOMPILED_METHODS = ("aot", "cache")
TORCHAO_SCHEMES = ("int8-dynamic", "int8-weight-only", "int4-weight-only", "autoquant")
"""Of these three, the first is what is taken where a cell names none."""
OPTIONS: Mapping[str, Mapping[str, type | tuple[str, ...]]] = {
    "inductor": {"mode": INDUCTOR_MODES, "fullgraph": bool},
    "precompiled": {"method": PRECOMPILED_METHODS, "mode": INDUCTOR_MODES, "fullgraph": bool},
    "aot_eager": {"fullgraph": bool},
    "dynamo": {"fullgraph": bool},
    "aot-inductor": {"keep": bool},
    "torchscript": {"method": TORCHSCRIPT_METHODS},
    "torchao": {"mode": INDUCTOR_MODES, "scheme": TORCHAO_SCHEMES},
    "onnxruntime": {
        "exporter": ("dynamo", "dynamo-optimized", "dynamo-inlined", "torchscript"),
        "opset": int,
        "level": ("disable", "basic", "extended", "layout", "all"),
        "threads": int,
        "provider": ("cpu", "cuda", "tensorrt"),
        "test_data": bool,
    },
}
"""The options of a backend: their type, or the words that they may be."""
OPEN = frozenset({"inductor", "precompiled", "aot-inductor", "torchao"})
"""Backends with more options than the host can know: what is not in ``OPTIONS`` is checked in the image, by the backend itself."""

_INDUCTOR = (
    "torch._inductor.compile_fx",
    "torch._inductor.codegen.cpp",
    "torch._inductor.codegen.cpp_wrapper_cpu",
    "torch._inductor.cpu_vec_isa",
    "torch._inductor.fx_passes.joint_graph",
)
PRELOADS: Mapping[str, tuple[str, ...]] = {
    "harness.backends.dynamo": _INDUCTOR,
    "harness.backends.inductor": _INDUCTOR,
    "harness.backends.precompiled": (*_INDUCTOR, "torch._dynamo.aot_compile", "torch._dynamo.precompile_context"),
    "harness.backends.cuda_graphs": _INDUCTOR,
    "harness.backends.torchao": _INDUCTOR,
    "harness.backends.export": ("torch.export",),
    "harness.backends.nativert": ("torch.export", "torch.export.pt2_archive._package"),
    "harness.backends.aot_inductor": (*_INDUCTOR, "torch.export", "torch._inductor.package"),
    "harness.backends.onnxruntime": (
        "onnx",
        "onnxruntime",
        "onnxscript",
        "onnxscript.function_libs.torch_lib.ops",
        "onnxscript.optimizer",
        "onnxscript.rewriter",
        "onnx_ir.passes.common",
        "torch._dynamo.convert_frame",
        "torch.export._trace",
        "torch.onnx._internal.exporter._compat",
        "torch.onnx._internal.exporter._torchlib.ops",
        "torch.onnx._internal.torchscript_exporter.utils",
    ),
    # It starts no thread and opens no device: PJRT starts in the cell's process, with the first tensor.
    "harness.backends.xla": ("torch_xla", "torch._dynamo.backends.torchxla"),
}
"""What a backend's module imports late, as it compiles: a launch with such a cell imports it once for all."""

WARM_UPS: Mapping[str, str] = {
    "inductor": "harness.backends.inductor:warm_up_inductor",
    "precompiled": "harness.backends.inductor:warm_up_inductor",
    "torchao": "harness.backends.inductor:warm_up_inductor",
    "aot-inductor": "harness.backends.aot_inductor:warm_up_aot_inductor",
}
"""What is done once per launch, unrecorded, before the first cell of a backend: it would be in that cell's compile time otherwise."""

COMPILERS = {
    "dynamo": "torch._dynamo.config",
    "functorch": "torch._functorch.config",
    "inductor": "torch._inductor.config",
    "fx": "torch.fx.experimental._config",
}
"""Parts of torch whose settings a run can name, and where they are."""
PERFORMANCE = "performance"
"""The experiment that is run where none is chosen, and the only one that a release is judged by."""
EXPERIMENTS: Mapping[str, str] = {
    PERFORMANCE: "harness.experiments.performance:Performance",
    "coverage": "harness.experiments.coverage:Coverage",
    "overhead": "harness.experiments.overhead:Overhead",
    "tolerance": "harness.experiments.tolerance:PrecisionErrors",
    "dynamic-shapes": "harness.experiments.dynamic_shapes:DynamicShapes",
    "recompiles": "harness.experiments.recompiles:Recompiles",
    "baselines": "harness.experiments.baselines:Baselines",
    "determinism": "harness.experiments.determinism:Determinism",
    "largest-batch": "harness.experiments.largest_batch:LargestBatch",
    "inspect": "harness.experiments.inspection:Inspect",
    "operators": "harness.experiments.operators:Operators",
    "nothing": "harness.experiments.nothing:Nothing",
}
EXPERIMENT_BACKENDS: Mapping[str, str] = {
    "coverage": "dynamo:eager",
    "overhead": "dynamo:eager",
    "tolerance": "eager",
    "recompiles": "dynamo:eager",
    "baselines": "eager",
    "largest-batch": "eager",
    "operators": "eager",
    "nothing": "eager",
}
"""The one backend of an experiment that would say the same of every other. (dynamo's ``eager`` runs the graphs as they were captured.)"""
CLOCKS: Mapping[str, str] = {
    "cpu": "harness.measure.clock:CpuClock",
    "cuda": "harness.measure.cuda_clock:CudaClock",
    "xla": "harness.measure.xla_clock:XlaClock",
}

EAGER = "eager"
"""The backend that every other is compared with."""
IMAGE_SUITE = "image"
"""What an image costs before anything is measured in it: one cell each, whatever the axes."""
IMAGE_BACKEND = "python"
"""How the cells of that suite are run: by fresh interpreters alone."""
IMAGE_SIZE = f"{IMAGE_SUITE}/size"

_MICRO = "harness.workloads.micro"
_TIMM = "harness.workloads.timm_models.workload"
_LLM = "harness.workloads.llm"
_HUGGINGFACE = "harness.workloads.huggingface.workload"
SUITES: Mapping[str, Mapping[str, str]] = {
    "micro": {
        "matmul_square": f"{_MICRO}.matmul:SQUARE",
        "matmul_tall": f"{_MICRO}.matmul:TALL",
        "matmul_batched": f"{_MICRO}.matmul:BATCHED",
        "linear_gelu_mlp": f"{_MICRO}.matmul:LINEAR_GELU_MLP",
        "softmax": f"{_MICRO}.normalization:SOFTMAX",
        "layer_norm": f"{_MICRO}.normalization:LAYER_NORM",
        "rms_norm": f"{_MICRO}.normalization:RMS_NORM",
        "cross_entropy": f"{_MICRO}.normalization:CROSS_ENTROPY",
        "attention": f"{_MICRO}.attention:FULL",
        "attention_causal": f"{_MICRO}.attention:CAUSAL",
        "attention_long": f"{_MICRO}.attention:LONG",
        "transformer_block": f"{_MICRO}.attention:TRANSFORMER_BLOCK",
        "conv2d_3x3": f"{_MICRO}.convolution:CONV2D_3X3",
        "conv2d_depthwise": f"{_MICRO}.convolution:CONV2D_DEPTHWISE",
        "conv_bn_relu": f"{_MICRO}.convolution:CONV_BN_RELU",
        "resnet_bottleneck": f"{_MICRO}.convolution:RESNET_BOTTLENECK",
        "embedding_bag": f"{_MICRO}.indexing:EMBEDDING_BAG",
        "gather": f"{_MICRO}.indexing:GATHER",
        "scatter_add": f"{_MICRO}.indexing:SCATTER_ADD",
        "sort": f"{_MICRO}.indexing:SORT",
        "topk": f"{_MICRO}.indexing:TOPK",
        "cumsum": f"{_MICRO}.reduction:CUMSUM",
        "sum_rows": f"{_MICRO}.reduction:SUM_ROWS",
        "sum_columns": f"{_MICRO}.reduction:SUM_COLUMNS",
        "sum_all": f"{_MICRO}.reduction:SUM_ALL",
        "pointwise_chain": f"{_MICRO}.pointwise:POINTWISE_CHAIN",
        "transpose_copy": f"{_MICRO}.pointwise:TRANSPOSE_COPY",
        "adam_step_foreach": f"{_MICRO}.optimizer:ADAM_STEP_FOREACH",
        "lstm": f"{_MICRO}.recurrent:LSTM",
    },
    "timm": {name: f"{_TIMM}:{name}" for name in MODELS},
    "llm": {
        "attention_llama3_8b": f"{_LLM}.attention:LLAMA3_8B",
        "attention_llama3_70b": f"{_LLM}.attention:LLAMA3_70B",
        "attention_qwen25_7b": f"{_LLM}.attention:QWEN25_7B",
        "mlp_llama3_8b": f"{_LLM}.mlp:LLAMA3_8B",
        "mlp_llama3_70b": f"{_LLM}.mlp:LLAMA3_70B",
        "mlp_qwen25_7b": f"{_LLM}.mlp:QWEN25_7B",
        "mlp_gemma2_9b": f"{_LLM}.mlp:GEMMA2_9B",
        "moe_mixtral_8x7b": f"{_LLM}.mixture:MIXTRAL",
        "moe_deepseek_v2_lite": f"{_LLM}.mixture:DEEPSEEK",
        "sliding_window_mistral_7b": f"{_LLM}.flexible:SLIDING_WINDOW_MISTRAL_7B",
        "sliding_window_gemma2_9b": f"{_LLM}.flexible:SLIDING_WINDOW_GEMMA2_9B",
        "paged_attention_llama3_8b": f"{_LLM}.flexible:PAGED_LLAMA3_8B",
        "linear_int8_llama3_8b": f"{_LLM}.quantized:INT8_LLAMA3_8B",
        "linear_int4_llama3_8b": f"{_LLM}.quantized:INT4_LLAMA3_8B",
        "linear_int4_packed_llama3_8b": f"{_LLM}.quantized:INT4_PACKED_LLAMA3_8B",
        "sampling_llama3_8b": f"{_LLM}.sampling:TOP_K_LLAMA3_8B",
        "sampling_top_p_gemma2_9b": f"{_LLM}.sampling:TOP_P_GEMMA2_9B",
        "decoder_llama3_8b": f"{_LLM}.decoder:LAYER_LLAMA3_8B",
        "prefill_llama3_8b": f"{_LLM}.decoder:PREFILL_LLAMA3_8B",
        "prefill_qwen25_7b": f"{_LLM}.decoder:PREFILL_QWEN25_7B",
        "decode_llama3_8b": f"{_LLM}.decoder:DECODE_LLAMA3_8B",
        "decode_qwen25_7b": f"{_LLM}.decoder:DECODE_QWEN25_7B",
    },
    "huggingface": {name: f"{_HUGGINGFACE}:{name}" for name in ARCHITECTURES},
    IMAGE_SUITE: {
        "start": "harness.experiments.image_costs:START",
        "import": "harness.experiments.image_costs:IMPORTS",
        "first_result": "harness.experiments.image_costs:FIRST",
        "size": "harness.experiments.image_costs:SIZE",
    },
}
SHAPES: Mapping[str, tuple[str, ...]] = dict.fromkeys(("micro", "huggingface", "timm", "llm"), ("small", "large"))
"""The sizes that every workload of a suite has."""
WORKLOAD_PRELOADS: Mapping[str, tuple[str, ...]] = {
    **{f"huggingface/{name}": (_HUGGINGFACE, *architecture.modules) for name, architecture in ARCHITECTURES.items()},
    **{f"timm/{name}": (_TIMM, "timm") for name in MODELS},
}
"""What a workload is made of, where that takes long to import: a launch with such a cell imports it once for all."""


def load(reference: str) -> object:
    """The object behind ``module:attribute``."""
    module, _, attribute = reference.partition(":")
    return getattr(importlib.import_module(module), attribute)


def backend_reference(name: str) -> str:
    """Where the backend of that name is. KeyError for an unknown one."""
    family, colon, member = name.partition(":")
    if colon and member.isprintable() and not member.isspace() and member:
        return BACKEND_FAMILIES[family]
    return BACKENDS[name]


def is_backend(name: str) -> bool:
    try:
        backend_reference(name)
    except KeyError:
        return False
    return True


def workload_names() -> tuple[str, ...]:
    """All names, ``suite/name``, in the order of the tables."""
    return tuple(f"{suite}/{name}" for suite, names in SUITES.items() for name in names)
