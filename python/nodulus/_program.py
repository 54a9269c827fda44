"""Finds the program."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Iterator

from .errors import ProgramNotFoundError

_NAME = "nodulus" + (sysconfig.get_config_var("EXE") or "")


def program() -> Path:
    """Path of the program: what the variable `NODULUS` names, else what was installed with this package, else what is on the path.

    Raises:
        ProgramNotFoundError: there is none, or `NODULUS` names no program.
    """
    named = os.environ.get("NODULUS")
    if named:
        if not _is_program(Path(named)):
            raise ProgramNotFoundError(f"the variable NODULUS is `{named}`, which is no program: correct it, or unset it")
        return Path(named).absolute()
    for folder in _folders():
        if _is_program(folder / _NAME):
            return folder / _NAME
    found = shutil.which(_NAME)
    if found is None:
        raise ProgramNotFoundError(
            "the program `nodulus` was not found beside this package or on the path: pip install nodulus, or name it in the "
            "variable NODULUS"
        )
    return Path(found).absolute()


def _folders() -> Iterator[Path]:
    """Where an installation of this package puts programs."""
    yield Path(sysconfig.get_path("scripts"))
    yield Path(sysconfig.get_path("scripts", scheme=f"{os.name}_user"))
    # Of `pip install --target FOLDER`.
    yield Path(__file__).parent.parent / "bin"
    yield Path(sys.executable).parent


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
