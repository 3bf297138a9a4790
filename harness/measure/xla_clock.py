"""The clock of an XLA device: lazy graphs are cut and waited for, so that a call is the work that it asks for."""

from __future__ import annotations

from harness.measure.clock import AS_FOUND, HostTimed, WaitingGauge
from harness.measure.transfer import transfer_seconds
from harness.protocols import Gauge, Unsupported


class XlaClock(HostTimed):
    """Host time alone: XLA has no events that a program could read.

    What was recorded before a sample is cut off, executed and waited for before the clock starts; what a call records is cut, executed
    and waited for before it stops.
    """

    device = "xla"

    def __init__(self, cache: str = AS_FOUND) -> None:
        try:
            import torch_xla
            from torch_xla.core import xla_model
        except ImportError as error:
            raise Unsupported(f"this image has no torch_xla: {error}") from None
        self._sync = torch_xla.sync
        self._wait = xla_model.wait_device_ops
        self.gauges: tuple[Gauge, ...] = (WaitingGauge(self.synchronize, self.synchronize),)

    def synchronize(self) -> None:
        self._sync()
        self._wait()

    def transfer_seconds(self, inputs: object, outputs: object) -> float:
        return transfer_seconds(inputs, outputs, self.device, self.synchronize)
