"""``export``: the program that ``torch.export`` makes of the model, run operator by operator as eager would: what exporting costs."""

from __future__ import annotations

from collections.abc import Callable

from torch.utils.hooks import RemovableHandle

from harness.backends.exporting import Exported, export, require_inference
from harness.cell import Cell
from harness.protocols import Artifacts, Backend, Evidence, NoEvidence, Outputs, Subject, Unsupported


class Export(Backend):
    compiles = True

    def __init__(self, cell: Cell, artifact: Artifacts) -> None:
        require_inference(cell)
        if cell.options:
            raise Unsupported("export has no options")
        self._cell = cell
        self._exported: Exported | None = None
        self._hook: RemovableHandle | None = None
        self._calls = 0

    def prepare(self, subject: Subject) -> Callable[..., Outputs]:
        self._exported = export(subject, self._cell)
        module = self._exported.program.module()
        self._hook = module.register_forward_hook(self._count)
        return module  # type: ignore[no-any-return]

    def evidence(self) -> Evidence:
        """Operators in the program, and that the program was what was called."""
        # As with eager, the hook must be gone before anything is timed.
        if self._hook is not None:
            self._hook.remove()
        if self._exported is None or self._calls == 0:
            raise NoEvidence("the exported program was never called")
        return Evidence(
            columns={"calls_captured": self._exported.operators, "unique_graphs": 1, "export_seconds": self._exported.seconds},
            details={"program_calls_checked": self._calls},
            diagnostics={"program": self._exported.program.graph_module.print_readable(print_output=False)},
        )

    def _count(self, module: object, inputs: object, outputs: object) -> None:
        self._calls += 1
