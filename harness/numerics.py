"""Settings of torch that change results and speed, made the same for everything that a cell's process does."""

from __future__ import annotations

import os

import torch

from harness.cell import Numerics
from harness.protocols import Unsupported


def seed(value: int, device: str) -> None:
    """Of the random numbers that are drawn from now on. XLA's generator is no part of torch's."""
    torch.manual_seed(value)
    if device == "xla":
        import torch_xla

        torch_xla.manual_seed(value)


def has_drawn(value: int, device: str) -> bool:
    """Whether a call has drawn random numbers since ``seed``. Seeds anew."""
    before = _generators(device)
    seed(value, device)
    return any(not torch.equal(one, other) for one, other in zip(before, _generators(device), strict=True))


def _generators(device: str) -> list[torch.Tensor]:
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if device == "cuda" else [])]


def own_threads() -> None:
    """In a process that was just forked, while it has one thread: torch makes its pool of threads anew.

    It does so when somebody next asks for the pool, and where several threads do at once (autograd has one for each GPU, which all begin
    by that), one finds none and ends the process. Source: torch's caffe2/utils/threadpool/pthreadpool-cpp.cc.
    """
    torch.set_num_threads(torch.get_num_threads())


def use_threads(threads: int | None) -> None:
    """Threads inside an operator; None leaves torch its choice. Raises Unsupported for more than there are processors: so many would
    starve the host of processes before they said anything.
    """
    processors = os.cpu_count() or 1
    if threads is not None:
        if threads > processors:
            raise Unsupported(f"threads = {threads}: this machine has {processors} processors")
        torch.set_num_threads(threads)


def apply(numerics: Numerics) -> None:
    """Before anything runs on a device: cuBLAS reads its variable once."""
    torch.backends.cuda.matmul.allow_tf32 = numerics.tf32
    torch.backends.cudnn.allow_tf32 = numerics.tf32
    torch.backends.cudnn.benchmark = numerics.cudnn_benchmark
    torch.backends.cudnn.deterministic = numerics.deterministic
    if numerics.deterministic:
        # Source: https://docs.nvidia.com/cuda/cublas, "Results reproducibility".
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    torch.use_deterministic_algorithms(numerics.deterministic)


def hold(numerics: Numerics) -> bool:
    """Whether the settings are still those that were made."""
    found = (
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic,
        torch.are_deterministic_algorithms_enabled(),
    )
    return found == (numerics.tf32, numerics.tf32, numerics.cudnn_benchmark, numerics.deterministic, numerics.deterministic)
