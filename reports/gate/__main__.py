"""``python -m reports.gate``: what the session ``gate`` calls."""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path

from images.errors import UserError
from matrix.config import SUITES, load_matrix
from matrix.errors import INCOMPLETE, INTERRUPTED, RunBusy, RunNotFound
from matrix.interrupts import end_with_parent, interruptible
from matrix.standard_output import make_lasting
from reports.gate.command import gate
from reports.gate.measure import Budget
from reports.gate.options import make_parser

SOURCE = Path(__file__).resolve().parent.parent.parent
USAGE = 2
INFRASTRUCTURE = INCOMPLETE


def main(arguments: list[str] | None = None) -> int:
    began = time.monotonic()
    make_lasting()
    options = make_parser().parse_args(arguments)
    budget = Budget(deadline=None if options.max_duration is None else began + options.max_duration)
    try:
        with interruptible():
            if options.end_with_parent:
                end_with_parent()
            return gate(options, load_matrix(options.config, SOURCE / SUITES), SOURCE, dict(os.environ), budget)
    except UserError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return exit_code_of(error)
    except OSError as error:
        print(f"{type(error).__name__}: {error}\n  next: nox -s doctor, or another folder with --results", file=sys.stderr)
        return INFRASTRUCTURE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception:  # noqa: BLE001  # Python ends with 1 for it, and 1 says that the candidate has regressed
        traceback.print_exc()
        return INFRASTRUCTURE


def exit_code_of(error: UserError) -> int:
    """Whoever gates a release tells few things apart: what the command was asked for, and what kept it from an answer."""
    return USAGE if error.exit_code == USAGE or isinstance(error, RunNotFound | RunBusy) else INFRASTRUCTURE


if __name__ == "__main__":
    sys.exit(main())
