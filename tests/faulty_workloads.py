"""Workloads that go wrong, each in its own way, and one that does not. Run inside an image by the integration tests.

`nox -s bench-cpu -- --only path:tests/faulty_workloads.py:Segfault` runs one by hand.
"""

import ctypes
import os
import subprocess
import sys
import time

import torch


class Healthy(torch.nn.Module):
    """relu is what torch's *_TESTING_ONLY backends break."""

    def forward(self, x):
        return torch.relu(x) + 1

    def get_example_inputs(self):
        return (torch.linspace(-1, 1, 4096),)


class Segfault(Healthy):
    def forward(self, x):
        ctypes.string_at(0)
        return x


class Exit(Healthy):
    def forward(self, x):
        os._exit(3)


class ExitQuietly(Healthy):
    """Leaves with 0, as if all were well."""

    def forward(self, x):
        os._exit(0)


class Endless(Healthy):
    """Loops for ever, with a child in a session of its own that does so too."""

    def forward(self, x):
        subprocess.Popen([sys.executable, "-c", "import time\nwhile True: time.sleep(1)  # endless-child"], start_new_session=True)
        while True:
            time.sleep(0.1)


class Raises(Healthy):
    def forward(self, x):
        raise ValueError("planted in forward")


class RaisesWhenCompiled(Healthy):
    """Eager is well; tracing meets an error."""

    def forward(self, x):
        if torch.compiler.is_compiling():
            return x + torch.ones(7)
        return x + 1


class WrongWhenCompiled(Healthy):
    def forward(self, x):
        return x + 2 if torch.compiler.is_compiling() else x + 1


class Hog(Healthy):
    """Takes memory until someone says stop; every page is written to."""

    def forward(self, x):
        held = []
        while True:
            held.append(torch.ones(64 << 20))


class TwoRunsDiffer(Healthy):
    runs = 0

    def forward(self, x):
        TwoRunsDiffer.runs += 1
        return x + TwoRunsDiffer.runs


class NotCompiled(Healthy):
    """Hidden from the compiler: there is no graph, and so no evidence."""

    @torch.compiler.disable
    def forward(self, x):
        return x + 1


class KillsItsLaunch(Healthy):
    def forward(self, x):
        os.kill(os.getppid(), 9)
        time.sleep(60)
        return x


class NoInputs(torch.nn.Module):
    def forward(self, x):
        return x


class Talks(Healthy):
    def forward(self, x):
        print('<script>document.title = "hostile"</script>\x00\x1b[31m', flush=True)
        raise RuntimeError('<script>document.title = "hostile"</script>\n,"quoted"\r\n=1+1')
