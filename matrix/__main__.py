"""``python -m matrix VERB``: what the nox sessions call."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from images.errors import UserError
from matrix.config import SUITES, load_matrix
from matrix.errors import INCOMPLETE, INTERRUPTED
from matrix.interrupts import end_with_parent, interruptible
from matrix.options import make_parser
from matrix.standard_output import make_lasting

SOURCE = Path(__file__).resolve().parent.parent


def main(arguments: list[str] | None = None) -> int:
    make_lasting()
    options = make_parser().parse_args(arguments)
    try:
        with interruptible():
            if options.end_with_parent:
                end_with_parent()
            return _verb(options)
    except UserError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        # A full disk, a folder that may not be written: the host's, and the user's to mend.
        print(f"{type(error).__name__}: {error}\n  next: nox -s doctor, or another folder with --results", file=sys.stderr)
        return INCOMPLETE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _verb(options: argparse.Namespace) -> int:
    if options.verb == "schema":
        from matrix.schema import schema_text

        print(schema_text(), end="")
        return 0
    if options.verb == "doctor":
        from matrix.doctor import examine

        return examine(options.config, SOURCE)
    matrix = load_matrix(options.config, SOURCE / SUITES)
    if options.verb == "image":
        from matrix.bench import build_image

        return build_image(options, matrix, SOURCE)
    if options.verb == "lock":
        from matrix.locks import make_locks

        return make_locks(matrix, SOURCE, options.names, options.find_links)
    from matrix.bench import bench

    return bench(options, matrix, SOURCE, dict(os.environ))


if __name__ == "__main__":
    sys.exit(main())
