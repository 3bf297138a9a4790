"""What the image inductor-cuda is for: triton, and a compiled operation whose result is right; on a GPU where the build has one.

A build has none as a rule: there inductor compiles for the processor, and triton is imported with its NVIDIA compiler.
"""

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import CUDABackend

assert torch.version.cuda is not None, "this torch is built without CUDA"
assert CUDABackend.supports_target(GPUTarget("cuda", 90, 32)), "this triton has no compiler for NVIDIA GPUs"

device = "cuda" if torch.cuda.is_available() else "cpu"
x = torch.linspace(-1, 1, 1000, device=device)
compiled = torch.compile(lambda t: torch.sin(t) + t.cumsum(0))
torch.testing.assert_close(compiled(x), torch.sin(x) + x.cumsum(0))
print(f"torch {torch.__version__} for CUDA {torch.version.cuda}, triton {triton.__version__}, inductor on {device}: right")
