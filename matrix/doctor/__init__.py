"""Is this host fit to measure? Facts are gathered (``facts``), findings made of them (``findings``), and printed with what to do."""

from __future__ import annotations

from pathlib import Path

from matrix.doctor.facts import gather
from matrix.doctor.findings import Finding, findings


def examine(config: Path, source: Path) -> int:
    """Print the findings; 0 where all is well, 1 where something would keep `bench` from working or from being right."""
    found = findings(gather(config, source))
    for finding in found:
        print(shown(finding))
    return 0 if all(finding.ok for finding in found) else 1


def shown(finding: Finding) -> str:
    remedy = f"\n      next: {finding.remedy}" if finding.remedy else ""
    return f"{'ok  ' if finding.ok else 'look'}  {finding.name}: {finding.text}{remedy}"
