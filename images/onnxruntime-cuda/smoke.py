"""What the image onnxruntime-cuda is for, as far as a machine without a GPU can tell: the CUDA provider is in the build and finds every
library that it needs but the driver's, and a model exported to ONNX is right on the CPU.
"""

import ctypes
import re
import subprocess
from pathlib import Path

import onnxruntime
import torch

DRIVER = "libcuda.so.1"
"""Comes with the host's driver, never with an image."""
LOADED_LATER = ("libcudnn.so.9",)
"""By name, when a convolution first needs it."""

available = onnxruntime.get_available_providers()
if torch.version.cuda is None or "CUDAExecutionProvider" not in available:
    raise SystemExit(f"torch {torch.__version__} or onnxruntime {onnxruntime.__version__} is built without CUDA: {available}")

onnxruntime.preload_dlls(directory="")
provider = Path(onnxruntime.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
header = subprocess.run(["readelf", "--dynamic", str(provider)], check=True, capture_output=True, text=True).stdout
needed = [name for name in re.findall(r"\(NEEDED\).*\[(.+)\]", header) if name != DRIVER]
for name in (*needed, *LOADED_LATER):
    ctypes.CDLL(name)

model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.GELU(), torch.nn.LayerNorm(32)).eval()
x = torch.linspace(-1, 1, 64).reshape(4, 16)
program = torch.onnx.export(model, (x,), dynamo=True)
session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
(found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
torch.testing.assert_close(torch.from_numpy(found), model(x).detach(), rtol=1e-4, atol=1e-5)
print(
    f"onnxruntime {onnxruntime.__version__} with CUDA {torch.version.cuda} of torch {torch.__version__}: "
    f"its provider finds {', '.join(name for name in (*needed, *LOADED_LATER) if name.startswith('libcu'))}; right on the CPU"
)
