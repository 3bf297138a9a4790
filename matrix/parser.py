"""The command lines of the host: what is wrong with one is said in a line, with the next command."""

from __future__ import annotations

import argparse
from typing import NoReturn

from matrix.errors import OPTIONS, SelectionError

MOST_SAID = 1000
"""Characters of a mistake: it may repeat what was given."""


class Parser(argparse.ArgumentParser):
    """Does not answer a mistake with every option that there is: that is ``--help``."""

    def error(self, message: str) -> NoReturn:
        said = message if len(message) <= MOST_SAID else f"{message[:MOST_SAID]} ..."
        self.exit(SelectionError.exit_code, f"{self.prog}: error: {said}\n  {OPTIONS}\n")
