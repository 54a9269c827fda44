"""Runs the program: `python -m nodulus run pipelines/demo.toml`."""

from __future__ import annotations

import os
import sys

from ._program import program
from .errors import ProgramNotFoundError

if __name__ == "__main__":
    try:
        path = str(program())
    except ProgramNotFoundError as error:
        sys.exit(str(error))
    os.execv(path, [path, *sys.argv[1:]])
