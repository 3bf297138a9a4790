"""What the image xla is for: a recorded graph, compiled and executed by XLA, whose result is torch's."""

import os

import torch
import torch_xla
from torch_xla.debug import metrics

x = torch.randn(64, 64)
there = x.to("xla")
result = torch.softmax(there @ there, dim=-1).sum(0)
torch_xla.sync(wait=True)
torch.testing.assert_close(result.cpu(), torch.softmax(x @ x, dim=-1).sum(0))
if not metrics.metric_data("CompileTime") or metrics.executed_fallback_ops():
    raise SystemExit(f"XLA did not compile it: {metrics.short_metrics_report()}")
print(f"torch {torch.__version__} with torch_xla {torch_xla.__version__} on PJRT's {os.environ['PJRT_DEVICE']}: right")
