"""Several processes for one cell: a model that is replicated (DDP) or sharded (FSDP) over ranks, timed in the first of them.

The cell's process forks the others before anything is loaded. All do the same, check and compile alike; only the first one writes, and decides
what is called next: the others follow, told by pipes, so that no collective but the model's own is in a time. A rank that fails says why, and one
that dies is seen to: by gloo the others' collectives break then, by NCCL they would wait for ever. A rank whose collective broke is a victim,
whenever it ends: a culprit can close its connections first and end last. What is left of a cell is ended with it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

from harness import numerics
from harness.process import die_with_parent, last_words, oom_kills, signal_name
from harness.protocols import Call, Failure, Unsupported
from harness.records import Status

if TYPE_CHECKING:
    from harness.journal import JournalWriter

BACKENDS = {"cpu": "gloo", "cuda": "nccl"}
LOOPBACK = "lo"
"""A container has no other interface."""
GRACE_SECONDS = 3.0
"""Between the end of one rank and that of the first: its own collective may break meanwhile, and its traceback belongs into the log."""
PATIENCE_SECONDS = 10.0
"""For a culprit, where only victims have ended: it may have closed its connections long before it ends."""
WORDS = 1000
"""Characters of what a rank says before it goes: fewer than a pipe holds, so that nobody has to read them for the writer to get away."""


class Followed(Exception):
    """A rank has done what it was told; there is nothing more for it to say."""


class RankLost(Exception):
    """Another rank failed or died, and the first one cannot go on."""

    def __init__(self, rank: int, failure: Failure) -> None:
        super().__init__(f"rank {rank}: {failure.reason}")
        self.rank = rank
        self.failure = failure
        """What it said, or how it ended."""

    @property
    def is_victim(self) -> bool:
        """Its collective broke, which is no reason of its own."""
        return self.failure.of_collective

    def is_like(self, other: Failure) -> bool:
        """Whether both failed by the same, in whatever phase."""
        own = self.failure
        return (own.status, own.reason) == (other.status, other.reason) or (own.error != "" and own.error == other.error[:WORDS])

    def unexplained(self) -> RankLost:
        """The same, where nobody else is the reason either."""
        return RankLost(self.rank, dataclasses.replace(self.failure, reason=f"{self.failure.reason}; no rank says why"))


@dataclass(frozen=True, kw_only=True)
class _Other:
    """A rank, as the first one knows it."""

    rank: int
    process: int
    words: int
    """The end of a pipe that it writes to when it fails."""


@dataclass(kw_only=True)
class Ranks:
    """Of one cell, as one of them sees it."""

    rank: int
    count: int
    device: str
    kind: str
    meeting: str
    """A file that all of them find each other by."""
    _orders: list[int] = field(default_factory=list)
    """Of the first rank: a pipe to each other one; of another: the one that it reads."""
    _words: int | None = None
    """Of another rank: the pipe for what it says when it fails."""
    _others: list[_Other] = field(default_factory=list)
    """Of the first rank."""
    _lost: list[RankLost] = field(default_factory=list)
    """In the order of their ends."""
    _more_lost: threading.Condition = field(default_factory=threading.Condition)
    _is_over: bool = False
    """The first rank has failed itself: what it says is said by who raised it."""

    @contextlib.contextmanager
    def together(self, failure_of: Callable[[BaseException], Failure], journal: JournalWriter) -> Iterator[None]:
        """Join the others, and fail with whichever fails.

        failure_of: what an exception means; journal: for what outlives the first rank, where it hangs and is ended, or goes with the others.
        Raises in the first rank RankLost where another one is the cause, in others what was raised; Unsupported where there are fewer GPUs
        than ranks.
        """
        try:
            for other in self._others:
                threading.Thread(target=self._watch, args=(other, oom_kills(), journal), name=f"rank {other.rank}", daemon=True).start()
            self._join()
            yield
        except Followed:
            raise
        except BaseException as error:
            failure = failure_of(error)
            if self._words is not None:
                self._say(failure)
            elif (cause := self._cause(failure)) is not None:
                raise cause from error
            raise

    def _cause(self, own: Failure) -> RankLost | None:
        """Of the first rank's failure: the rank that is behind it; None where it is itself, or all fail alike.

        Ranks that fail alike are not the reason of each other: it is the one that fails otherwise, however late.
        """
        self._is_over = True

        def others() -> list[RankLost]:
            return [lost for lost in self._lost if not lost.is_victim and not lost.is_like(own)]

        def is_known() -> bool:
            return bool(others()) or len(self._lost) == len(self._others)

        with self._more_lost:
            self._more_lost.wait_for(is_known, GRACE_SECONDS)
            if own.of_collective or self._lost:
                self._more_lost.wait_for(is_known, PATIENCE_SECONDS)
            if others():
                return others()[0]
            return self._first_lost() if own.of_collective and self._lost else None

    def _first_lost(self) -> RankLost:
        """The first to end of those that are no victims; where there are victims alone, the first of them."""
        return self._culprit() or self._lost[0].unexplained()

    def _culprit(self) -> RankLost | None:
        return next((lost for lost in self._lost if not lost.is_victim), None)

    def end(self, status: str, reason: str) -> None:
        """Of another rank whose experiment has ended by itself, which it does where it found a failure alone; of the first one, nothing."""
        self._say(Failure(status=status, reason=reason or f"it ended as {status}"))

    def _say(self, failure: Failure) -> None:
        if self._words is not None:
            said = {name: value[:WORDS] if isinstance(value, str) else value for name, value in dataclasses.asdict(failure).items()}
            words = json.dumps(said, ensure_ascii=False).encode(errors="replace")
            # A workload may have closed whatever was open: what was raised is still what its log has to say.
            with contextlib.suppress(OSError):
                os.write(self._words, words)

    def _watch(self, other: _Other, killed_before: int, journal: JournalWriter) -> None:
        """Sleeps in the kernel until a rank has ended, which it does not while the first one is there."""
        _, ended = os.waitpid(other.process, 0)
        lost = RankLost(other.rank, _end_of(other, ended, killed=oom_kills() > killed_before))
        if not lost.is_victim:
            journal.lose(lost.failure.status, str(lost))
        with self._more_lost:
            self._lost.append(lost)
            self._more_lost.notify_all()
            self._more_lost.wait_for(lambda: self._culprit() is not None, PATIENCE_SECONDS)
        time.sleep(GRACE_SECONDS)
        if not self._is_over:
            cause = self._first_lost()
            journal.finish(cause.failure.status, str(cause))
            os._exit(1)

    def _join(self) -> None:
        arguments: dict[str, Any] = {}
        if self.device == "cuda":
            # Asked in each, after they were forked: who asks has CUDA open, and what is forked from that could not use it.
            if torch.cuda.device_count() < self.count:
                raise Unsupported(
                    f"{self.count} ranks need {self.count} GPUs, and {torch.cuda.device_count()} are here: ranks in [run] of matrix.toml"
                )
            torch.cuda.set_device(self.rank)
            arguments["device_id"] = torch.device("cuda", self.rank)
        else:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK)
        distributed.init_process_group(
            BACKENDS[self.device], init_method=f"file://{self.meeting}", rank=self.rank, world_size=self.count, **arguments
        )

    def wrap(self, model: torch.nn.Module) -> torch.nn.Module:
        """The model over all ranks. Every rank calls this, in the same order."""
        if self.kind == "ddp":
            ids = [self.rank] if self.device == "cuda" else None
            return torch.nn.parallel.DistributedDataParallel(model, device_ids=ids)
        from torch.distributed.fsdp import FullyShardedDataParallel

        return FullyShardedDataParallel(model, use_orig_params=True, device_id=self.rank if self.device == "cuda" else torch.device("cpu"))

    def led(self, call: Call, number: int) -> Call:
        """Of the first rank: the call, which the others make too. What it costs is in its time: a microsecond for each other rank."""
        order = bytes([number])
        write, pipes = os.write, self._orders

        def everywhere() -> object:
            for pipe in pipes:
                write(pipe, order)
            return call()

        return everywhere

    def follow(self, calls: Sequence[Call]) -> None:
        """Of another rank: make each call whose number comes, until the first rank has gone. Raises Followed then."""
        with os.fdopen(self._orders[0], "rb", buffering=0) as orders:
            while order := orders.read(1):
                calls[order[0]]()
        raise Followed


def start(kind: str, count: int, device: str) -> Ranks:
    """Fork ``count - 1`` others. Returns in each, to be used as ``together``. To be called before torch has done anything in this process.

    Raises Unsupported where the device has no means of talking.
    """
    if device not in BACKENDS or not distributed.is_available():
        raise Unsupported(f"torch {torch.__version__} has no collectives for the device {device}")
    meeting = _meeting()
    orders, words = ([os.pipe() for _ in range(count - 1)] for _ in range(2))
    others = []
    for rank in range(1, count):
        process = os.fork()
        if process == 0:
            die_with_parent()
            numerics.own_threads()
            _keep(orders + words, orders[rank - 1][0], words[rank - 1][1])
            return Ranks(
                rank=rank, count=count, device=device, kind=kind, meeting=meeting, _orders=[orders[rank - 1][0]], _words=words[rank - 1][1]
            )
        others.append(_Other(rank=rank, process=process, words=words[rank - 1][0]))
    kept = [write for _, write in orders]
    _keep(orders + words, *kept, *(other.words for other in others))
    return Ranks(rank=0, count=count, device=device, kind=kind, meeting=meeting, _orders=kept, _others=others)


def _meeting() -> str:
    """The path of a new file. On Linux one without a name, which goes with the last that has it open, however they end."""
    if hasattr(os, "memfd_create"):
        return f"/proc/self/fd/{os.memfd_create('ranks')}"
    descriptor, path = tempfile.mkstemp(prefix="ranks-")
    os.close(descriptor)
    return path


def _keep(pipes: Sequence[tuple[int, int]], *kept: int) -> None:
    """Close the other ends: one that is open elsewhere too would hide that a rank has gone."""
    for end in {end for pipe in pipes for end in pipe} - set(kept):
        os.close(end)


def _end_of(other: _Other, ended: int, *, killed: bool) -> Failure:
    """Of a rank whose process has ended: what it said, or how it ended."""
    os.set_blocking(other.words, False)
    with contextlib.suppress(BlockingIOError, ValueError):
        return Failure(**json.loads(os.read(other.words, 1 << 16)))
    if not os.WIFSIGNALED(ended):
        code = os.WEXITSTATUS(ended)
        return Failure(status=Status.crash(f"exit{code}"), reason=f"it ended with exit code {code}, without a word")
    number = os.WTERMSIG(ended)
    if number == signal.SIGKILL and killed:
        return Failure(status=Status.OOM, reason="the kernel ended it: out of memory")
    return Failure(status=Status.crash(signal_name(number)), reason=f"it was ended by {signal_name(number)}{last_words(number)}")
