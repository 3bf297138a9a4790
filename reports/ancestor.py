"""The ancestor's CSV files: what their names say, their lines as rows, and the two files of one configuration as one. Pure.

PyTorch's ``benchmarks/dynamo`` measures a configuration twice, with ``--accuracy`` and with ``--performance``, into two files whose names
differ in their last word. Each tells half of what a row of ours does.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from harness.files import row_from_fields
from harness.records import ANCESTOR_COLUMNS, INTEGER_COLUMNS, Row, Status

SUITES = ("torchbench", "huggingface", "timm")
STATUSES = {"eager_1st_run_fail": Status.EAGER_FAIL_TO_RUN, "eager_2nd_run_fail": Status.EAGER_FAIL_TO_RUN}
PADDED = (
    *("batch_size", "speedup", "abs_latency", "compilation_latency"),
    *("compression_ratio", "eager_peak_mem", "dynamo_peak_mem"),
)
"""It pads rows of what failed with zeros; a zero in these columns was never measured."""
JOINED_BY = ["name", "dev"]
SAME_WORKLOAD = [*JOINED_BY, "mode", "precision"]
"""What names a workload in files of different configurations."""


class Part(Enum):
    """Which half of a configuration a file is: the last word of its name."""

    ACCURACY = "accuracy"
    PERFORMANCE = "performance"


COLUMN_OF = {Part.ACCURACY: "accuracy", Part.PERFORMANCE: "speedup"}
"""The column without which a file is not that part."""


Name = tuple[str, str]
"""(workload, device)."""


class Said(NamedTuple):
    """What the accuracy file says of a workload."""

    batch_size: float
    """NaN where it is not known."""
    status: str
    reason: str


def is_ancestors(header: Sequence[str]) -> bool:
    return list(header[:2]) == ["dev", "name"] and not {"speedup", "accuracy"}.isdisjoint(header)


def part_of(path: Path, header: Sequence[str]) -> Part | None:
    """The half that the name and the header say; none where either says neither. header: empty where a file has none."""
    _, part = _parts(path)
    if part is None or (header and not (is_ancestors(header) and COLUMN_OF[part] in header)):
        return None
    return part


def configuration_of(path: Path) -> str:
    """The name without what tells the halves apart; the folder's, where there is no more to the name."""
    configuration, _ = _parts(path)
    return configuration or path.resolve().parent.name


def _parts(path: Path) -> tuple[str, Part | None]:
    found = re.fullmatch(r"(?:(.*)[_-])?(accuracy|performance)", path.stem)
    return (found[1] or "", Part(found[2])) if found else (path.stem, None)


def parse(fields: Mapping[str, str], path: Path) -> Row:
    """A row. A line says nothing of image, suite, mode or precision; its file name usually does. Raises ValueError."""
    configuration = configuration_of(path)
    words = re.split(r"[_-]", configuration)
    known = {column: fields[column] for column in ANCESTOR_COLUMNS if column in fields}
    for column in PADDED:
        if re.fullmatch(r"0*\.?0*", known.get(column, "x")):
            known[column] = ""
    for column in INTEGER_COLUMNS & known.keys():
        known[column] = known[column].removesuffix(".0")
    row = row_from_fields(known)
    accuracy = fields.get("accuracy", "")
    if accuracy:
        status = Status.OOM if accuracy.endswith("OOM") else STATUSES.get(accuracy, accuracy)
        reason = ""
    else:
        status, reason = (Status.PASS, "") if row.speedup is not None else (Status.FAIL_TO_RUN, "its row has no speedup")
    batch = [] if row.batch_size is None else [f"batch={row.batch_size}"]
    return dataclasses.replace(
        row,
        image=configuration,
        cell=" ".join([row.name, row.dev, *batch]),
        suite=next((word for word in SUITES if word in words), ""),
        mode=next((word for word in ("inference", "training") if word in words), ""),
        precision=next((word for word in ("float32", "float16", "bfloat16", "amp") if word in words), ""),
        planned_batch_size=row.batch_size,
        status=status,
        reason=reason,
    )


def joined(accuracy: pd.DataFrame, performance: pd.DataFrame) -> pd.DataFrame:
    """The rows of the performance file, with the status of the accuracy file; then what that file alone has.

    By name and device. Batch sizes are those of the times: accuracy is checked with others, which the reason says. Only where a file has
    several rows of a name, one of the same batch size goes before others.
    """
    said: dict[Name, list[Said]] = {}
    columns = accuracy[[*JOINED_BY, "batch_size", "status", "reason"]]
    for name, dev, *rest in columns.itertuples(index=False, name=None):
        said.setdefault((name, dev), []).append(Said(*rest))
    both = performance.copy()
    columns = performance[[*JOINED_BY, "batch_size", "status", "reason"]]
    found = [_together(Said(*rest), said.get((name, dev), [])) for name, dev, *rest in columns.itertuples(index=False, name=None)]
    both["status"], both["reason"] = [status for status, _ in found], [reason for _, reason in found]
    alone = _untimed(accuracy, set(performance[JOINED_BY].itertuples(index=False, name=None)))
    tables = [table for table in (both, alone) if len(table)]
    return pd.concat(tables, ignore_index=True) if tables else both


def _untimed(accuracy: pd.DataFrame, timed: Set[Name]) -> pd.DataFrame:
    """What the accuracy file alone has: a row of each workload, whose batch size is none of a time."""
    places: dict[Name, int] = {}
    for place, (*key, status) in enumerate(accuracy[[*JOINED_BY, "status"]].itertuples(index=False, name=None)):
        # Of several, what went wrong.
        if (name := (key[0], key[1])) not in timed and (name not in places or status not in Status.PASSED):
            places[name] = place
    found = accuracy.iloc[list(places.values())].copy()
    found["cell"] = [f"{name} {dev}" for name, dev in places]
    found["reason"] = [
        "; ".join(filter(None, (reason, _alone(size)))) for size, reason in zip(found["batch_size"], found["reason"], strict=True)
    ]
    found["batch_size"] = found["planned_batch_size"] = float("nan")
    return found


def _together(timed: Said, checked: Sequence[Said]) -> tuple[str, str]:
    """(status, reason) of a row of the performance file, and of the rows of its name in the accuracy file."""
    if not checked:
        # Nobody has looked at its result: the ancestor's own summary does not count it as passed either.
        if timed.status in Status.PASSED:
            return Status.PASS_DUE_TO_SKIP, "the accuracy file has no row of it: its result was not checked"
        return timed.status, timed.reason
    same = [each for each in checked if each.batch_size == timed.batch_size] or checked
    # Of several, what went wrong.
    of_it = next((each for each in same if each.status not in Status.PASSED), same[0])
    if of_it.status in Status.PASSED and timed.status not in Status.PASSED:
        return timed.status, f"its result is right, but {timed.reason}"
    differ = _known(of_it.batch_size) and _known(timed.batch_size) and of_it.batch_size != timed.batch_size
    note = f"checked with a batch size of {of_it.batch_size:g}, timed with {timed.batch_size:g}" if differ else ""
    return of_it.status, "; ".join(filter(None, (of_it.reason, note)))


def _alone(batch_size: float) -> str:
    checked = f" (checked with a batch size of {batch_size:g})" if _known(batch_size) else ""
    return f"the performance file has no row of it{checked}"


def _known(number: float) -> bool:
    return bool(pd.notna(number))


def with_batch_sizes(tables: Sequence[pd.DataFrame], checked_alone: Sequence[bool]) -> list[pd.DataFrame]:
    """Tables in which what failed, and what was checked alone, is beside what was timed elsewhere.

    A row of what failed names no batch size, and an accuracy file another one than its performance file would. They are of that which all
    rows of their workload were timed with, if they have one. checked_alone: by table, whether it is of an accuracy file alone.
    """
    timed = _one_size([table for table, alone in zip(tables, checked_alone, strict=True) if not alone])
    checked = _one_size([table for table, alone in zip(tables, checked_alone, strict=True) if alone])
    found = []
    for table, alone in zip(tables, checked_alone, strict=True):
        sizes, reasons = [], []
        for reason, size, *key in table[["reason", "planned_batch_size", *SAME_WORKLOAD]].itertuples(index=False, name=None):
            others = timed.get(tuple(key), math.nan)
            of_it = next(filter(_known, (others, size) if alone else (size, others)), checked.get(tuple(key), math.nan))
            note = f"checked with a batch size of {size:g}" if _known(size) and size != of_it else ""
            sizes.append(of_it)
            reasons.append("; ".join(filter(None, (reason, note))))
        found.append(table.assign(planned_batch_size=sizes, reason=reasons))
    return found


def _one_size(tables: Iterable[pd.DataFrame]) -> Mapping[tuple[object, ...], float]:
    """By workload: its batch size, where there is one and no other."""
    sizes: dict[tuple[object, ...], set[float]] = {}
    for table in tables:
        for *key, size in table[[*SAME_WORKLOAD, "planned_batch_size"]].itertuples(index=False, name=None):
            if _known(size):
                sizes.setdefault(tuple(key), set()).add(size)
    return {key: next(iter(found)) for key, found in sizes.items() if len(found) == 1}
