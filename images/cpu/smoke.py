"""What the image cpu is for: a compiled operation whose result is right."""

import torch

x = torch.linspace(-1, 1, 1000)
compiled = torch.compile(lambda t: torch.sin(t) + t.cumsum(0))
torch.testing.assert_close(compiled(x), torch.sin(x) + x.cumsum(0))
print(f"torch {torch.__version__} with inductor on the CPU: right")
