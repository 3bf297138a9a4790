"""Why a workload could not be exported: every diagnostic that the exporter has, not only the one that it stopped at."""

from __future__ import annotations

import contextlib
import csv
import re
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import torch

from harness.backends.onnx_export import TORCHSCRIPT, Flat, Form, Request, tensors_of
from harness.protocols import Subject
from harness.records import one_line

FILE = "export_errors.csv"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_OPERATOR = re.compile(r"Exporting the operator '([\w:.]+)|No ONNX function found for <OpOverload\(op='([\w:.]+)', overload='(\w+)'")


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A line of ``export_errors.csv``."""

    rule: str
    """The operator that has no counterpart, else the class of the exception."""
    message: str
    exception: str


def failures_of(error: BaseException, subject: Subject, request: Request) -> list[Failure]:
    """The cause first, then what was made of it, then the operators that would have failed next."""
    chain = [error]
    while (cause := _cause_of(chain[-1])) is not None and cause not in chain:
        chain.append(cause)
    found = [
        Failure(rule=_rule_of(each), message=one_line(_COLOURS.sub("", str(each))), exception=type(each).__name__)
        for each in reversed(chain)
    ]
    known = {failure.rule for failure in found}
    # Looking for more runs the tracer again, on a model that it has just failed on.
    with contextlib.suppress(Exception):
        found += [failure for failure in _operators_without_rules(subject, request) if failure.rule not in known]
    return found


def write_failures(failures: list[Failure], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(field.name for field in fields(Failure))
        writer.writerows(astuple(failure) for failure in failures)


def _cause_of(error: BaseException) -> BaseException | None:
    return error.__cause__ if error.__suppress_context__ else error.__context__


def _rule_of(error: BaseException) -> str:
    named = _OPERATOR.search(str(error))
    if named is None:
        return type(error).__name__
    script, operator, overload = named.groups()
    return script or _name(f"{operator}.{overload}")


def _name(overload: str) -> str:
    return overload.removesuffix(".default")


def _operators_without_rules(subject: Subject, request: Request) -> Iterator[Failure]:
    model, inputs = Flat(subject, Form()), tensors_of(subject.inputs)
    with torch.no_grad(), request.surroundings():
        if request.exporter == TORCHSCRIPT:
            yield from _unconvertible(model, inputs, request.opset)
        else:
            yield from _undispatchable(model, inputs)


def _unconvertible(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...], opset: int | None) -> Iterator[Failure]:
    from torch.onnx.utils import unconvertible_ops

    _, names = unconvertible_ops(model, inputs, opset_version=opset)
    for name in dict.fromkeys(names):
        yield Failure(rule=name, message=f"{name} has no symbolic function", exception="UnsupportedOperatorError")


def _undispatchable(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> Iterator[Failure]:
    """As the exporter goes about it: torch.export, decompositions, a function of onnxscript for each node."""
    from torch.onnx._internal.exporter import _decomp, _dispatching, _registration

    registry = _registration.ONNXRegistry.from_torchlib()
    table = _decomp.create_onnx_friendly_decomposition_table(set(_decomp.get_onnx_implemented_overloads(registry)))
    program = torch.export.export(model, inputs, strict=False).run_decompositions(table)
    for node in program.graph.nodes:
        if node.op == "call_function":
            function, message = _dispatching.dispatch(node, registry)
            if function is None:
                yield Failure(rule=_name(str(node.target)), message=f"{node.target}: {message}", exception="DispatchError")
