"""Which operators a workload runs, with which arguments, how often: a file that ``operators:FILE`` measures one by one.

The ancestor (``--log-operator-inputs``) writes one as text, and a program of its own replays it with random values of fixed range. Here
integers keep their range, so that an index reads what it read, and what is replayed are cells as any others: through every backend, checked
and timed as all are.
"""

from __future__ import annotations

import dataclasses
import json

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import _pytree as pytree

from harness.experiments.checking import report_subject, step_of
from harness.experiments.steps import surroundings
from harness.measure.operator_inputs import OperatorRecorder
from harness.operator_file import Recording, write
from harness.protocols import Bench, Subject
from harness.records import Status
from harness.workloads.subjects import copy_of

FILE = "operators.jsonl.gz"


class Operators:
    def run(self, bench: Bench) -> str:
        """Tensors without memory first: a model is recorded that does not fit. What needs their values is run with real ones."""
        report_subject(bench)
        bench.report.phase("fake")
        recorder, why = self._fake(bench)
        if recorder is None:
            bench.report.phase("eager")
            recorder = OperatorRecorder()
            step = step_of(bench.subject, bench.cell)
            with surroundings(bench.cell.mode), recorder:
                step.call()
        operators = recorder.operators()
        write(bench.report.artifact(FILE), Recording(cell=bench.cell.id, precision=bench.cell.precision, operators=operators))
        bench.report.set(
            total_ops=sum(each.calls for each in operators),
            unique_ops=len(operators),
            evidence=json.dumps(
                {"recorded": "with real tensors" if why else "with fake tensors", "why": why, "left_out": dict(recorder.left_out)}
            ),
        )
        return Status.PASS

    def _fake(self, bench: Bench) -> tuple[OperatorRecorder | None, str]:
        """The recorder, or why there is none."""
        recorder = OperatorRecorder()
        try:
            with FakeTensorMode(allow_non_fake_inputs=True) as mode:
                step = step_of(_faked(copy_of(bench.subject), mode), bench.cell)
                with surroundings(bench.cell.mode), recorder:
                    step.call()
        except Exception as error:  # noqa: BLE001  # what a workload objects to is what it is run with real tensors for
            return None, f"{type(error).__name__}: {error}".rstrip(": ")
        return recorder, ""


def _faked(subject: Subject, mode: FakeTensorMode) -> Subject:
    """The same with tensors that have a form and no memory."""

    def fake(tensor: torch.Tensor) -> torch.Tensor:
        return mode.from_tensor(tensor)

    for module in subject.model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, torch.nn.Parameter(fake(parameter.detach()), requires_grad=parameter.requires_grad))
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, fake(buffer))
    return dataclasses.replace(subject, inputs=pytree.tree_map_only(torch.Tensor, fake, subject.inputs))
