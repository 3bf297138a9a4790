"""Workloads that go wrong, each in its own way, and one that does not. Run inside an image by the integration tests.

`nox -s bench-cpu -- --only path:tests/faulty_workloads.py:Segfault` runs one by hand.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time

import torch


def close_sockets():
    """What a rank talks by: its process goes on, and the others read the end of the connection."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                os.close(int(name))


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


class ChangesItsInputWhenCompiled(Healthy):
    """The output is right; what the call leaves behind is not."""

    def forward(self, x):
        if torch.compiler.is_compiling():
            x.add_(5)
            return x - 4
        return x + 1


class NotANumberInEager(Healthy):
    def forward(self, x):
        return x + 1 if torch.compiler.is_compiling() else x * float("nan")


class NothingToCompare(Healthy):
    def forward(self, x):
        return None


class Leaves(Healthy):
    def forward(self, x):
        sys.exit(7)


class ScribblesInTheJournal(Healthy):
    def forward(self, x):
        for descriptor in range(3, 40):
            for text in (
                b'{"fields": 5}\n',
                b'{"fields": {"cell": "other", "speedup": "fast", "nonsense": 1}, "samples": [1]}\n',
                b"[" * 9999 + b"\n",
            ):
                try:
                    os.write(descriptor, text)
                except OSError:
                    break
        return x + 1


class NotCompiled(Healthy):
    """Hidden from the compiler: there is no graph, and so no evidence."""

    @torch.compiler.disable
    def forward(self, x):
        return x + 1


class Breaks(Healthy):
    """Two graphs of an operator each, and between them two that the compiler does not see."""

    @torch.compiler.disable
    def hidden(self, x):
        return x * 2 + 1

    def forward(self, x):
        return torch.sigmoid(self.hidden(torch.tanh(x)))


class FailsInHalf(Healthy):
    def forward(self, x):
        if x.dtype == torch.float16:
            raise RuntimeError("planted for half")
        return x + 1


class Overflows(Healthy):
    """Beyond what float16 can hold."""

    def forward(self, x):
        return (x + 2) * 1e6


class Random(Healthy):
    """The type of its numbers is the type that they are drawn in."""

    def forward(self, x):
        return torch.randn_like(x)


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


class Slow(Healthy):
    """Half a second a call, so that there is time to interrupt."""

    def forward(self, x):
        time.sleep(0.5)
        return x + 1


class Confined(Healthy):
    """Fails unless everything but its own scratch space is out of reach."""

    def forward(self, x):
        for path in ("/written", "/benchmatrix/harness/written", os.path.dirname(__file__) + "/written"):
            try:
                open(path, "w")
            except OSError:
                continue
            raise RuntimeError(f"{path} can be written")
        try:
            socket.create_connection(("192.0.2.1", 80), timeout=2)
        except TimeoutError:
            raise RuntimeError("there is a network") from None
        except OSError:
            pass
        if set(os.listdir("/sys/class/net")) != {"lo"}:
            raise RuntimeError("there is a network device")
        capabilities = next(line for line in open("/proc/self/status") if line.startswith("CapEff"))
        if int(capabilities.split()[1], 16) != 0:
            raise RuntimeError(f"capabilities: {capabilities}")
        return x + 1


class Drifts(Healthy):
    """Every call is right, and the last bits of no two are the same."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return torch.relu(x) + 1 + self.calls * 2.0**-23


class NeedsASize(Healthy):
    """It has no batch size of its own."""

    def get_example_inputs(self, batch_size):
        return (torch.linspace(-1, 1, 16 * batch_size).reshape(batch_size, 16),)


class KeepsItsSize(Healthy):
    """It takes a batch size, and no notice of it."""

    def get_example_inputs(self, batch_size=16):
        return (torch.linspace(-1, 1, 256).reshape(16, 16),)


class HasItsWidth(Healthy):
    """It takes no notice of a batch size that one of its dimensions has anyway."""

    def get_example_inputs(self, batch_size=4):
        return (torch.linspace(-1, 1, 64).reshape(4, 16),)


class Batched(Healthy):
    """Its inputs are of any batch size."""

    def get_example_inputs(self, batch_size=16):
        return (torch.linspace(-1, 1, 16 * batch_size).reshape(batch_size, 16),)


class LosesARank(Healthy):
    """In training over ranks: the second one leaves in its third call, while the first waits for its gradients."""

    calls = 0

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(16, 16)

    def forward(self, x):
        self.calls += 1
        if self.calls == 3 and torch.distributed.is_initialized() and torch.distributed.get_rank() == 1:
            os._exit(5)
        return self.layer(x)

    def get_example_inputs(self):
        return (torch.linspace(-1, 1, 64).reshape(4, 16),)


class HangsARank(LosesARank):
    """The same, but it stays and does nothing."""

    def forward(self, x):
        self.calls += 1
        if self.calls == 3 and torch.distributed.is_initialized() and torch.distributed.get_rank() == 1:
            time.sleep(3600)
        return self.layer(x)


class FailsInARank(LosesARank):
    """The second one alone raises."""

    def forward(self, x):
        if torch.distributed.is_initialized() and torch.distributed.get_rank() == 1:
            raise ValueError("only here")
        return self.layer(x)


class FailsInEachRank(LosesARank):
    """All of them raise the same."""

    def forward(self, x):
        raise ValueError("everywhere")


class CrashesARank(LosesARank):
    """The second one is killed by the system, in its third call."""

    def forward(self, x):
        self.calls += 1
        if self.calls == 3 and torch.distributed.is_initialized() and torch.distributed.get_rank() == 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        return self.layer(x)


class LosesARankAndGoesOn(LosesARank):
    """The second one leaves, and the first one sees nothing of it: it waits."""

    def forward(self, x):
        self.calls += 1
        if self.calls == 3 and torch.distributed.is_initialized():
            if torch.distributed.get_rank() == 1:
                os._exit(5)
            time.sleep(3600)
        return self.layer(x)


class FailsInTheLastRank(LosesARank):
    """The last one alone raises, and the first one sees nothing of it; those between meet the end of their connections."""

    def forward(self, x):
        self.calls += 1
        if self.calls == 3 and torch.distributed.is_initialized():
            if torch.distributed.get_rank() == torch.distributed.get_world_size() - 1:
                raise ValueError("only in the last")
            if torch.distributed.get_rank() == 0:
                time.sleep(3600)
        return self.layer(x)


class ClosesItsConnectionsAndFails(LosesARank):
    """The last one cannot be heard any more, and takes its time to raise: all others break, and end, before it."""

    seconds = 2.0

    def is_faulty(self):
        return torch.distributed.get_rank() == torch.distributed.get_world_size() - 1

    def forward(self, x):
        self.calls += 1
        if self.calls == 3 and torch.distributed.is_initialized() and self.is_faulty():
            try:
                raise ValueError("in one alone")
            finally:
                close_sockets()
                time.sleep(self.seconds)
        return self.layer(x)


class ClosesItsConnectionsAndStays(ClosesItsConnectionsAndFails):
    """It never says why."""

    seconds = 3600.0


class ClosesTheConnectionsOfTheFirstRank(ClosesItsConnectionsAndFails):
    """The first one sees its victims end, and is the reason itself."""

    def is_faulty(self):
        return torch.distributed.get_rank() == 0


class TakesTheFirstRankWithIt(LosesARank):
    """The second one leaves, and the first one, whose collective breaks, is ended by that as NCCL's watchdog ends it."""

    def forward(self, x):
        self.calls += 1
        if self.calls == 3 and torch.distributed.is_initialized():
            if torch.distributed.get_rank() == 1:
                os._exit(7)
            try:
                torch.distributed.all_reduce(torch.zeros(1))
            except RuntimeError:
                time.sleep(0.2)
                os.abort()
        return self.layer(x)


class SwallowsWhatBroke(ClosesItsConnectionsAndFails):
    """All others raise errors of their own, and tell nobody that it was their collective that broke."""

    def forward(self, x):
        if self.calls == 2 and torch.distributed.is_initialized() and not self.is_faulty():
            with contextlib.suppress(RuntimeError):
                torch.distributed.all_reduce(torch.zeros(1))
            raise KeyError("what was to be there is not")
        return super().forward(x)


class ClosesWhatIsOpenInARank(LosesARank):
    """The second one closes every file and raises: it cannot say a word."""

    def forward(self, x):
        self.calls += 1
        if self.calls == 3 and torch.distributed.is_initialized() and torch.distributed.get_rank() == 1:
            os.closerange(3, 1024)
            raise ValueError("nobody hears it")
        return self.layer(x)


class WrongInARank(LosesARank):
    """The second one's compiled outputs are off by what has no gradient."""

    def forward(self, x):
        wrong = torch.compiler.is_compiling() and torch.distributed.is_initialized() and torch.distributed.get_rank() == 1
        return self.layer(x) + (1.0 if wrong else 0.0)


class WrongSomewhere(Healthy):
    """What a backend that breaks relu does wrong is one node of many."""

    def forward(self, x):
        return torch.cos(torch.relu(torch.sin(torch.sigmoid(x) * 2) - 0.5) + 1)
