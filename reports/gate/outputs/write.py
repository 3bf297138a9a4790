"""A gate's outputs as files of its run's directory, and in the summary of a step of GitHub's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from matrix.store import write_text
from reports.gate.outputs import badge
from reports.gate.outputs.as_json import to_json
from reports.gate.outputs.junit import junit
from reports.gate.outputs.markdown import LEAST_BYTES, STEP_SUMMARY_BYTES, markdown
from reports.gate.report import GateReport

JSON, MARKDOWN, JUNIT, BADGE, BADGE_ENDPOINT = "gate.json", "gate.md", "gate.junit.xml", "badge.svg", "badge.json"

OUTPUTS: Mapping[str, Callable[[GateReport], str]] = {
    JSON: to_json,
    MARKDOWN: markdown,
    JUNIT: junit,
    BADGE: badge.svg,
    BADGE_ENDPOINT: badge.endpoint,
}
"""In the order in which they are written: what the others could be made from comes first."""


def write_outputs(report: GateReport, directory: Path, github_step_summary: Path | None) -> str:
    """Replace every output in the directory, each as a whole, and append to the step's summary where there is one.

    Returns why the summary was not written; empty where it was, or none is wanted. OSError for the directory. A verdict must not
    be lost for a summary that cannot be written.
    """
    for name, make in OUTPUTS.items():
        write_text(directory / name, make(report))
    return _append(report, github_step_summary) if github_step_summary is not None else ""


def _append(report: GateReport, summary: Path) -> str:
    try:
        with summary.open("ab") as file:
            # What others of the step have written counts too.
            room = STEP_SUMMARY_BYTES - file.tell()
            if room < LEAST_BYTES:
                return f"the step's summary is full ({summary}): GitHub would refuse all of it; see {MARKDOWN}"
            before = b"\n\n" if file.tell() else b""
            file.write(before + markdown(report, room - len(before)).encode())
    except OSError as error:
        return f"the step's summary cannot be written: {error}"
    return ""
