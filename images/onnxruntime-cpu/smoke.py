"""What the image onnxruntime-cpu is for: a model exported to ONNX whose result in ONNX Runtime is right."""

import onnxruntime
import torch

model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.GELU(), torch.nn.LayerNorm(32)).eval()
x = torch.linspace(-1, 1, 64).reshape(4, 16)
program = torch.onnx.export(model, (x,), dynamo=True)
session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
(found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
torch.testing.assert_close(torch.from_numpy(found), model(x).detach(), rtol=1e-4, atol=1e-5)
print(f"onnxruntime {onnxruntime.__version__} on the CPU, exported by torch {torch.__version__}: right")
