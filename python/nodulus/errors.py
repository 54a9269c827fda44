"""What can go wrong, by kind. Every exception of this package is a `NodulusError`."""

from __future__ import annotations

import difflib
import importlib
from typing import Any, Iterable, Sequence


class NodulusError(Exception):
    """Base of all exceptions of this package."""


class StoreError(NodulusError):
    """A folder is no store, a store's record or table cannot be read, or tables do not belong together."""


class DamagedError(StoreError):
    """A file of a store is missing, or not as the store's record says. `nodulus fsck STORE` lists all such files."""


class UnknownTableError(NodulusError, KeyError):
    """There is no table of this name; the message suggests near names."""

    def __str__(self) -> str:
        # `KeyError` would put the message in quotes.
        return str(self.args[0])


class MissingPackageError(NodulusError, ImportError):
    """A package that reading needs is not installed; the message names the extra that installs it."""


class ProgramNotFoundError(NodulusError, FileNotFoundError):
    """The program `nodulus` is neither installed with this package nor on the path."""

    def __str__(self) -> str:
        return str(self.args[0])


class RunError(NodulusError):
    """The program stopped with an error.

    Attributes:
        status: exit status: 1 stopped by an error, 2 wrong usage, negative the signal that ended the program.
        message: the program's own error.
        command: the command line, as a list of words.
    """

    def __init__(self, status: int, message: str, command: Sequence[str]) -> None:
        super().__init__(status, message, list(command))
        self.status = status
        self.message = message
        self.command = list(command)

    def __str__(self) -> str:
        ended = f"was ended by signal {-self.status}" if self.status < 0 else f"ended with status {self.status}"
        return f"`nodulus {self.command[1] if len(self.command) > 1 else ''}` {ended}: {self.message}"


class OutdatedWarning(UserWarning):
    """A table is older than what it was made from; `nodulus run` makes it anew."""


def near_or_all(name: str, existing: Iterable[str]) -> str:
    """`: did you mean ...?`, or `; there are: ...` where no name is near."""
    names = list(existing)
    near = difflib.get_close_matches(name, names, n=3)
    if near:
        return ": did you mean " + " or ".join(f"`{n}`" for n in near) + "?"
    return "; there are: " + ", ".join(names) if names else "; there are none"


def load(package: str, extra: str) -> Any:
    """Imports a package when it is needed.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        name = package.partition(".")[0]
        raise MissingPackageError(
            f"this needs the package `{name}`, which cannot be imported ({error}): pip install 'nodulus[{extra}]'"
        ) from error
