"""A session of ONNX Runtime as a callable whose inputs and outputs are torch's own memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils import _pytree as pytree
from torch.utils.dlpack import from_dlpack

from harness.backends.onnx_export import Exported
from harness.backends.ort_session import SessionSettings, current_stream
from harness.backends.packages import need
from harness.protocols import Outputs, Unsupported

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


class BoundCall:
    """Takes the place of the model. Inputs are read where they are and outputs written where they were the last time: results of a call
    are valid until the next one, as those of a replayed CUDA graph are (the harness copies what it keeps).

    Nothing is copied in a call, but inputs that are not contiguous: ONNX has no strides. Outputs whose shapes depend on data are
    allocated by ONNX Runtime in every call, and handed over by DLPack.
    """

    def __init__(self, session: Any, exported: Exported, settings: SessionSettings, *, waits: bool) -> None:
        """waits: a call is over when its work is done, wherever it is. Else it leaves its work in torch's stream, and the session must
        live as long as the process: what an LSTM holds of the host's memory, onnxruntime 1.31 gives back only after a run that waits, and
        aborts the process (cudaFreeHost: operation not permitted) where it has to do so as the session ends.
        """
        self._binding = session.io_binding()
        self.session = session
        self._run_options = _asynchronous() if settings.on_torch_stream and not waits else None
        self._index = settings.index
        self._own_stream = current_stream(settings.index) if settings.on_torch_stream else None
        self._form = exported.form
        self._positions = _positions(session, exported.inputs)
        self._bound: tuple[tuple[torch.Tensor, int], ...] | None = None
        self._somewhere: dict[torch.device, torch.Tensor] = {}
        """A place on each device for what is empty: ONNX Runtime wants one, and reads nothing there."""
        self._copies: list[tuple[torch.Tensor, torch.Tensor]] = []
        metas = session.get_outputs()
        self._names = [meta.name for meta in metas]
        # A graph may name an output twice, and ONNX Runtime fills one of them; or name an input, and it fills nothing.
        self._outputs = {
            meta.name: _Output(meta, device)
            for meta, device in zip(metas, exported.form.devices, strict=True)
            if meta.name not in self._positions
        }
        if not self._outputs:
            raise Unsupported("the exported graph returns its inputs and nothing else: onnxruntime has nothing to run")
        self._static = all(output.buffer is not None for output in self._outputs.values())
        self._results: Outputs = None

    @property
    def copied(self) -> list[str]:
        """Inputs that are copied in every call."""
        return [name for name, index in self._positions.items() if self._bound is not None and not self._bound[index][0].is_contiguous()]

    @property
    def ran(self) -> bool:
        return self._bound is not None

    def __call__(self, *arguments: Any) -> Outputs:
        leaves = _leaves(arguments)
        if not self._is_bound(leaves):
            self._bind(leaves)
        if self._own_stream is not None and current_stream(self._index) != self._own_stream:
            raise RuntimeError(
                "onnxruntime works on the stream that its session was made for; it can be neither called nor captured on another"
            )
        for source, copy in self._copies:
            copy.copy_(source)
        if not self._static:
            self._bind_outputs()
        self.session.run_with_iobinding(self._binding, self._run_options)
        return self._results if self._static else self._collect()

    def _is_bound(self, leaves: Sequence[torch.Tensor]) -> bool:
        """The very tensors of the last call, where they were. In every call, and so without a generator: it takes longer than the rest."""
        if self._bound is None or len(leaves) != len(self._bound):
            return False
        for leaf, (tensor, address) in zip(leaves, self._bound, strict=True):
            if leaf is not tensor or leaf.data_ptr() != address:
                return False
        return True

    def _bind(self, leaves: Sequence[torch.Tensor]) -> None:
        self._bound = None
        self._copies.clear()
        for name, index in self._positions.items():
            tensor = leaves[index]
            if not tensor.is_contiguous():
                copy = torch.empty_like(tensor, memory_format=torch.contiguous_format)
                self._copies.append((tensor, copy))
                tensor = copy
            address = tensor.data_ptr() or self._somewhere.setdefault(tensor.device, torch.empty(1, device=tensor.device)).data_ptr()
            self._binding.bind_input(
                name, tensor.device.type, tensor.device.index or 0, element_type(tensor.dtype), tuple(tensor.shape), address
            )
        self._bind_outputs()
        self._bound = tuple((leaf, leaf.data_ptr()) for leaf in leaves)
        if self._static:
            self._results = self._rebuild({name: output.buffer for name, output in self._outputs.items() if output.buffer is not None})

    def _bind_outputs(self) -> None:
        for output in self._outputs.values():
            output.bind(self._binding)

    def _collect(self) -> Outputs:
        values = zip(self._outputs.items(), self._binding.get_outputs(), strict=True)
        return self._rebuild({name: output.tensor(value) for (name, output), value in values})

    def _rebuild(self, found: Mapping[str, torch.Tensor]) -> Outputs:
        bound = self._bound or ()
        return self._form.rebuild([found[name] if name in found else bound[self._positions[name]][0] for name in self._names])


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
        self._address = 0
        if all(isinstance(size, int) for size in meta.shape):
            # One element at least: an empty tensor is nowhere, and ONNX Runtime wants a place for it all the same.
            self._place = torch.empty(max(1, math.prod(meta.shape)), dtype=self._dtype, device=device)
            self._address = self._place.data_ptr()
            self.buffer = self._place[: math.prod(meta.shape)].view(meta.shape)

    def bind(self, binding: Any) -> None:
        place = (self.name, self._device.type, self._device.index or 0)
        if self.buffer is None:
            binding.bind_output(*place)
        else:
            binding.bind_output(*place, element_type(self.buffer.dtype), tuple(self.buffer.shape), self._address)

    def tensor(self, value: Any) -> torch.Tensor:
        if self.buffer is not None:
            return self.buffer
        found: torch.Tensor = from_dlpack(value)
        # DLPack had no boolean for long, and a byte in its place.
        return found.view(self._dtype) if found.dtype != self._dtype else found


def _asynchronous() -> Any:
    """Options of a run that leaves its work in the stream, as torch does: who wants the result waits."""
    options = need("onnxruntime").RunOptions()
    options.add_run_config_entry("disable_synchronize_execution_providers", "1")
    # No captured graph. Where options do not say so, onnxruntime 1.32 asks for this entry in every call, and catches the exception that
    # there is none: 50 us and more, ten times what the rest of a short call takes.
    options.add_run_config_entry("gpu_graph_id", "-1")
    return options


def element_type(dtype: torch.dtype) -> int:
    if dtype not in TYPES:
        raise Unsupported(f"onnxruntime has no tensors of {dtype}")
    return TYPES[dtype][0]


def _leaves(arguments: tuple[Any, ...]) -> Sequence[torch.Tensor]:
    for argument in arguments:
        if type(argument) is not torch.Tensor:
            return [leaf for leaf in pytree.tree_leaves(arguments) if isinstance(leaf, torch.Tensor)]
    return arguments


def _positions(session: Any, names: tuple[str, ...]) -> dict[str, int]:
    """Which of the model's input tensors each of the session's inputs is."""
    return {meta.name: names.index(meta.name) for meta in session.get_inputs()}
