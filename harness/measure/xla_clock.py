"""The clock of an XLA device, in eager mode: what a call starts is waited for, so that a call is the work that it asks for."""

from __future__ import annotations

import os

import torch

from harness.measure.clock import AS_FOUND, HostTimed, WaitingGauge
from harness.measure.transfer import transfer_seconds
from harness.protocols import Gauge, Unsupported


class XlaClock(HostTimed):
    """Host time alone: XLA has no events that a program could read.

    It turns on eager mode for the whole process: plain torch, the baseline included, computes operator by operator here, as on every
    other device. A backend that records its calls leaves that mode for as long, and cuts what it has recorded itself
    (``backends.xla.recorded``). Work that somebody has left recorded all the same is cut before a sample.

    Where PJRT_DEVICE does not name one, torch_xla chooses PJRT's device: a TPU where there is one, else the CPU.
    """

    device = "xla"

    def __init__(self, cache: str = AS_FOUND) -> None:
        # Read once, as PJRT's CPU starts its threads: as many as torch has, whose number is recorded. Source: xla/pjrt/cpu/cpu_client.cc.
        os.environ["NPROC"] = str(torch.get_num_threads())
        try:
            import torch_xla
            from torch_xla.core import xla_model
            from torch_xla.experimental import eager_mode
        except ImportError as error:
            raise Unsupported(f"this image has no torch_xla: {error}") from None
        try:
            torch_xla.device()
        except RuntimeError as error:
            raise Unsupported(f"PJRT cannot open its device (PJRT_DEVICE={os.environ.get('PJRT_DEVICE')}): {error}") from None
        eager_mode(True)
        self._sync = torch_xla.sync
        self._wait = xla_model.wait_device_ops
        self.gauges: tuple[Gauge, ...] = (WaitingGauge(self._wait, self.synchronize),)

    def synchronize(self) -> None:
        self._sync()
        self._wait()

    def transfer_seconds(self, inputs: object, outputs: object) -> float:
        return transfer_seconds(inputs, outputs, self.device, self.synchronize)
