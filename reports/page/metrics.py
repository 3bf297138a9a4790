"""Numbers of an entry that the matrix can show."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Metric:
    name: str
    """Key of ``Entries.numbers``; bounds, where there are some, are ``<name>_low`` and ``<name>_high``."""
    label: str
    unit: str
    """``ratio``, ``seconds``, ``per_second``, ``bytes``, ``joules``, ``share``, ``error``, ``calls`` or ``count``."""
    better: str
    """``higher``, ``lower``, or empty where neither is."""
    words: tuple[str, str]
    """What a worse one and a better one are called: ``("slower", "faster")``."""


_FAST, _COMPILES = ("slower", "faster"), ("slower to compile", "faster to compile")
_MEMORY, _SIZE = ("more memory", "less memory"), ("larger", "smaller")
METRICS: tuple[Metric, ...] = (
    Metric(name="speedup", label="speedup over eager, host time", unit="ratio", better="higher", words=_FAST),
    Metric(name="device_speedup", label="speedup over eager, device time", unit="ratio", better="higher", words=_FAST),
    Metric(name="host_seconds", label="host time", unit="seconds", better="lower", words=_FAST),
    Metric(name="device_seconds", label="device time", unit="seconds", better="lower", words=_FAST),
    Metric(name="eager_host_seconds", label="eager's host time", unit="seconds", better="lower", words=_FAST),
    Metric(name="eager_device_seconds", label="eager's device time", unit="seconds", better="lower", words=_FAST),
    Metric(name="tokens_per_second", label="tokens a second", unit="per_second", better="higher", words=_FAST),
    Metric(name="first_token_seconds", label="time to first token", unit="seconds", better="lower", words=_FAST),
    Metric(name="compile_seconds", label="compile time, empty caches", unit="seconds", better="lower", words=_COMPILES),
    Metric(name="warm_compile_seconds", label="compile time, warm caches", unit="seconds", better="lower", words=_COMPILES),
    Metric(name="peak_bytes", label="peak memory", unit="bytes", better="lower", words=_MEMORY),
    Metric(name="memory_ratio", label="peak memory, eager's over its own", unit="ratio", better="higher", words=_MEMORY),
    Metric(name="joules", label="energy of a call", unit="joules", better="lower", words=("more energy", "less energy")),
    Metric(name="limit_share", label="share of the roofline", unit="share", better="higher", words=("lower", "higher")),
    Metric(name="error", label="error against float64", unit="error", better="lower", words=("larger error", "smaller error")),
    Metric(name="break_even_calls", label="calls until compiling pays", unit="calls", better="lower", words=("more calls", "fewer calls")),
    Metric(name="graph_breaks", label="graph breaks", unit="count", better="lower", words=("more breaks", "fewer breaks")),
    Metric(name="spread", label="spread of the launches", unit="share", better="lower", words=("wider", "narrower")),
    Metric(name="image_bytes", label="size of the image", unit="bytes", better="lower", words=_SIZE),
    Metric(name="image_compressed_bytes", label="size of the image, compressed", unit="bytes", better="lower", words=_SIZE),
)
