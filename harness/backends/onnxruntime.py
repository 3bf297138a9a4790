"""``onnxruntime``: the workload exported to ONNX and run by ONNX Runtime, in inference."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from harness.backends import onnx_test_data
from harness.backends.onnx_export import DYNAMO, TORCHSCRIPT, Exported, Request, export, tensors_of
from harness.backends.onnx_failures import FILE, failures_of, write_failures
from harness.backends.ort_binding import BoundCall, element_type
from harness.backends.ort_session import (
    PROVIDERS,
    SessionSettings,
    judge,
    nodes_by_provider,
    open_session,
    require_listed,
)
from harness.backends.packages import need
from harness.cell import Cell
from harness.protocols import Artifacts, Backend, Evidence, ExportFailed, NoEvidence, Outputs, Subject, Unsupported
from harness.records import Warn

FOLDER = "onnx"
"""Beside the row, where test data is wanted: the model, and ``test_data_set_0`` with what it takes and returns."""


class OnnxRuntime(Backend):
    """Options: ``exporter`` and ``opset`` (see ``onnx_export``); ``provider`` (the cell's device), ``level`` of graph optimisation (all)
    and ``threads`` inside an operator (torch's) of the session; ``test_data``: keep the model with its inputs and outputs.

    A call of a cell on a GPU works on torch's current stream, so that torch's events time it; its arena is no memory of torch's
    allocator (``process_gpu_bytes`` has both).
    """

    compiles = True

    def __init__(self, cell: Cell, artifact: Artifacts) -> None:
        options: dict[str, Any] = dict(cell.options)
        self._device = cell.device
        self._artifact = artifact
        self._request = Request(
            exporter=options.get("exporter", DYNAMO),
            opset=options.get("opset"),
            autocast=cell.device if cell.precision == "amp" else None,
        )
        self._provider: str = options.get("provider", cell.device)
        self._level: str = options.get("level", "all")
        self._threads = _threads(options.get("threads"))
        self._keeps: bool = options.get("test_data", False)
        if cell.mode != "inference":
            raise Unsupported(f"onnxruntime runs inference; the cell asks for {cell.mode}")
        for name in ("onnxruntime", "onnx") if self._request.exporter == TORCHSCRIPT else ("onnxruntime", "onnx", "onnxscript"):
            need(name)
        if self._provider not in PROVIDERS:
            raise Unsupported(f"onnxruntime has no provider for the device {cell.device}")
        if cell.device != "cpu" and self._provider == "cpu":
            raise Unsupported(f"provider = cpu: the inputs of a cell on {cell.device} are not where it could read them; take device = cpu")
        require_listed(need("onnxruntime"), self._provider)
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._evidence: Evidence | None = None

    def prepare(self, subject: Subject) -> Callable[..., Outputs]:
        inputs = tensors_of(subject.inputs)
        for tensor in inputs:
            element_type(tensor.dtype)
        self._subject = subject
        self._exported = self._export(subject)
        self._settings = SessionSettings(
            provider=self._provider,
            level=self._level,
            threads=self._threads,
            device=next((tensor.device for tensor in inputs if tensor.device.type == self._device), torch.device(self._device)),
        )
        began = time.perf_counter()
        self._call = self._open()
        self._session_seconds = time.perf_counter() - began
        return self._call

    def evidence(self) -> Evidence:
        """Which provider ran each node, from the profile of a second session like the first: profiling costs time, and the one that is
        timed must not have it. Found out once, before anything is timed.
        """
        if not self._call.ran:
            raise NoEvidence("the session was never run")
        if self._evidence is None:
            self._evidence = self._find_evidence()
            # Its inputs, a copy of those that are timed, are needed no longer; neither is the exported file.
            del self._subject
            if self._scratch is not None:
                self._scratch.cleanup()
        return self._evidence

    def _export(self, subject: Subject) -> Exported:
        if self._keeps:
            folder = self._artifact(FOLDER)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        else:
            self._scratch = tempfile.TemporaryDirectory(prefix="onnx-")
            folder = Path(self._scratch.name)
        try:
            return export(subject, self._request, folder)
        except (Unsupported, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            failures = failures_of(error, subject, self._request)
            write_failures(failures, self._artifact(FILE))
            raise ExportFailed(failures[0].rule, failures[0].message) from error

    def _open(self, profile: Path | None = None) -> BoundCall:
        session = open_session(self._exported.path, self._settings, profile)
        return BoundCall(session, self._exported, self._settings, waits=profile is not None)

    def _find_evidence(self) -> Evidence:
        exported, runtime = self._exported, need("onnxruntime")
        with tempfile.TemporaryDirectory(prefix="onnx-profile-") as folder, torch.no_grad():
            profiled = self._open(Path(folder) / "profile")
            placed, nodes = nodes_by_provider(profiled.session, lambda: profiled(*self._subject.inputs))
        if not placed:
            raise NoEvidence("onnxruntime ran no node: its optimiser left nothing of the workload")
        elsewhere = judge(placed, self._provider)
        if self._keeps:
            with torch.no_grad(), self._request.surroundings():
                onnx_test_data.write(exported, self._subject)
        return Evidence(
            columns={
                "export_seconds": exported.seconds,
                "artifact_bytes": exported.bytes,
                "backend_compile_seconds": self._session_seconds,
            },
            details={
                "nodes": placed,
                "elsewhere": elsewhere,
                "providers": self._call.session.get_providers(),
                "onnxruntime": runtime.__version__,
                "exporter": self._request.exporter,
                "opset": exported.opset,
                "exported_nodes": sum(exported.operators.values()),
                "threads": self._threads,
                "level": self._level,
                "inputs_copied": self._call.copied,
            },
            diagnostics={"nodes": nodes, "exported_operators": exported.operators},
            warnings=(Warn.FALLBACK,) if elsewhere else (),
        )


def _threads(wanted: int | None) -> int:
    """As many as torch uses, unless the cell says otherwise: eager and ONNX Runtime are compared on the same processors."""
    processors = os.cpu_count() or 1
    if wanted is not None and not 1 <= wanted <= processors:
        raise Unsupported(f"threads = {wanted}: this machine has {processors} processors")
    return wanted or torch.get_num_threads()
