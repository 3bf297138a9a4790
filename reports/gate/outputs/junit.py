"""``gate.junit.xml``: a GateReport for the test view of a CI system: a suite per suite, a case per cell. Pure.

What a verdict becomes, by what Jenkins, GitLab, Azure and GitHub's actions show:

- ``regressed`` is a ``failure``: red everywhere, with its text beside it.
- ``inconclusive`` is ``skipped``, with its reason: nothing was found, so it must be neither red nor green. It is counted apart everywhere, and
  an ``error`` would fail the build also where ``--inconclusive pass`` says that it may not. The gate's exit code decides, not this file.
- What the engine kept from being measured is an ``error``: it has to be mended, and says nothing of the image.
- An excused failure is ``skipped``, with the reason of its expectation.
"""

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

from reports.gate.outputs.tally import leading
from reports.gate.procedure import Verdict
from reports.gate.report import CellReport, GateReport
from reports.gate.wording import held_against, plain, statement, statuses, suspects

TEXT = 2000
"""Characters of a line."""
KINDS = {"failure": "failures", "error": "errors", "skipped": "skipped"}
"""Of what a case has where it does not pass -> the attribute that counts it."""


def junit(report: GateReport) -> str:
    """The text of the file. Every character of it is one that XML allows: ``plain`` leaves no other (XML 1.0, 2.2)."""
    suites: dict[str, list[CellReport]] = {}
    for cell in report.cells:
        # For grouping alone: a workload is SUITE/NAME, and a cell's name begins with it.
        suites.setdefault(plain(cell.cell.partition("/")[0]) or "cells", []).append(cell)
    root = ET.Element("testsuites", {"name": plain(f"gate: {report.candidate.label} beside {held_against(report)}")})
    if math.isfinite(report.seconds):
        root.set("time", f"{report.seconds:.3f}")
    for name in sorted(suites):
        suite = ET.SubElement(root, "testsuite", {"name": name})
        for cell in suites[name]:
            _case(suite, name, cell, report)
        _count(suite)
    _count(root)
    # The root has no such count in Jenkins' schema (junit-10.xsd).
    del root.attrib["skipped"]
    ET.indent(root, " ")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _case(suite: ET.Element, name: str, cell: CellReport, report: GateReport) -> None:
    case = ET.SubElement(suite, "testcase", {"classname": name, "name": plain(cell.cell, TEXT)})
    kind, message = _outcome(cell, report.procedure.alpha)
    if kind:
        finding = leading(cell)
        about = ET.SubElement(case, kind, {"message": message})
        if kind != "skipped":
            about.set("type", plain(finding.metric) if finding and finding.metric else "status")
            about.text = _body(cell, report)
            return
    ET.SubElement(case, "system-out").text = _body(cell, report)


def _outcome(cell: CellReport, alpha: float) -> tuple[str, str]:
    """(one of KINDS, or nothing where the case passes; its message)."""
    why = statement(cell, leading(cell), alpha, TEXT)
    if cell.expected:
        return "skipped", f"expected failure: {plain(cell.expected, TEXT)} ({statuses(cell)})"
    if cell.verdict == Verdict.REGRESSED:
        return "failure", why
    if cell.verdict != Verdict.INCONCLUSIVE:
        return "", ""
    return "error" if cell.is_unmeasured else "skipped", why


def _body(cell: CellReport, report: GateReport) -> str:
    """A line per finding, what did it where that was looked for, and how to measure the cell again."""
    alpha = report.procedure.alpha
    lines = [statement(cell, finding, alpha, TEXT) + ("" if finding.blocks_release else " (a warning)") for finding in cell.findings]
    if cell.unexpected_pass:
        lines.append("passes although it is expected to fail")
    for culprit in report.bisection.culprits if report.bisection else ():
        if metrics := [symptom.metric for symptom in culprit.explains if symptom.cell == cell.cell]:
            lines.append(f"{plain(suspects(culprit.packages, report.changes), TEXT)} did it ({plain(', '.join(metrics))})")
    if cell.replay:
        lines.append(f"measure it again: {plain(cell.replay, TEXT)}")
    return "\n".join(lines or [statuses(cell)])


def _count(element: ET.Element) -> None:
    """Of the cases below it."""
    element.set("tests", str(len(element.findall(".//testcase"))))
    for kind, name in KINDS.items():
        element.set(name, str(len(element.findall(f".//testcase/{kind}"))))
