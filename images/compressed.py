"""How large an image is for a registry: the size of its layers, compressed as a push compresses them."""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

PIECE_BYTES = 4 << 20
"""Compressed by themselves, on all processors: the sum is larger than that of one stream by less than 1 %."""
GZIP_LEVEL = 6
"""The default of gzip, and of Docker's pushes."""
GZIP = 16 + zlib.MAX_WBITS


def compressed_bytes(chunks: Iterable[bytes]) -> int:
    """Bytes of a stream (an image as ``docker save`` writes it) in gzip. What is compressed already stays about as large as it is."""
    workers = os.cpu_count() or 1
    total = 0
    pending: deque[Future[int]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for piece in _pieces(chunks):
            pending.append(pool.submit(_gzip_bytes, piece))
            if len(pending) > 2 * workers:
                total += pending.popleft().result()
        return total + sum(future.result() for future in pending)


def _pieces(chunks: Iterable[bytes]) -> Iterable[bytes]:
    held = bytearray()
    for chunk in chunks:
        held += chunk
        if len(held) >= PIECE_BYTES:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


def _gzip_bytes(piece: bytes) -> int:
    compressor = zlib.compressobj(GZIP_LEVEL, wbits=GZIP)
    return len(compressor.compress(piece)) + len(compressor.flush())
