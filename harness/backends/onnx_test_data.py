"""Test data in ONNX's own layout: ``test_data_set_0/input_N.pb`` and ``output_N.pb`` beside the model, as ``onnx.backend.test`` reads it."""

from __future__ import annotations

import torch

from harness.backends.onnx_export import Exported, tensors_of
from harness.backends.ort_binding import element_type
from harness.backends.packages import need
from harness.protocols import Subject

FOLDER = "test_data_set_0"


def write(exported: Exported, subject: Subject) -> None:
    """The subject's inputs, and what torch makes of them: what a runtime should find, not what one has found.

    Inputs are numbered by the order of the graph, which may lack one that the model does not use.
    """
    onnx = need("onnx")
    folder = exported.path.parent / FOLDER
    folder.mkdir()
    graph = onnx.load(str(exported.path), load_external_data=False).graph
    inputs = dict(zip(exported.inputs, tensors_of(subject.inputs), strict=True))
    sets = {
        "input": [(value.name, inputs[value.name]) for value in graph.input],
        "output": list(zip((value.name for value in graph.output), tensors_of(subject.model(*subject.inputs)), strict=True)),
    }
    for kind, tensors in sets.items():
        for index, (name, tensor) in enumerate(tensors):
            flat = tensor.detach().cpu().contiguous().flatten()
            proto = onnx.TensorProto(name=name, data_type=element_type(tensor.dtype), dims=list(tensor.shape))
            proto.raw_data = flat.view(torch.uint8).numpy().tobytes()
            (folder / f"{kind}_{index}.pb").write_bytes(proto.SerializeToString())
