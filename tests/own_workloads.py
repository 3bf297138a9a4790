"""Modules as users bring them: ``--only path:tests/own_workloads.py:CLASS``. Examples of the documentation."""

import torch


class Directed(torch.nn.Module):
    """Compared by direction: single elements of its output carry no meaning."""

    tolerance = 1e-3
    cosine = True

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(256, 256)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(self.layer(x), dim=-1)

    def get_example_inputs(self) -> tuple[torch.Tensor, ...]:
        return (torch.randn(32, 256),)


class Batched(Directed):
    """Its inputs are of any batch size, which makes it fit for every experiment; 32 is its own."""

    def get_example_inputs(self, batch_size: int = 32) -> tuple[torch.Tensor, ...]:
        return (torch.randn(batch_size, 256),)


class Breaking(Directed):
    """Prints in the middle: dynamo makes two graphs of it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        print(end="")
        return torch.relu(y)
