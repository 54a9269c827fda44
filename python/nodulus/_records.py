"""The store's small JSON files, which end with a checksum of themselves."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, Optional

from .errors import DamagedError, StoreError

_NAME = b'"record_sha256": "'


def read(path: Path) -> Optional[Dict[str, Any]]:
    """A record without its checksum, or `None` where there is no file.

    Raises:
        DamagedError: the file is not what was written.
        StoreError: the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"`{path}` cannot be read: {error.strerror}") from error
    before, found, after = content.rpartition(_NAME)
    if found:
        inner = before.rstrip()
        inner = inner[:-1] if inner.endswith(b",") else before
        if after[:64] != hashlib.sha256(inner).hexdigest().encode() or after[64:].split() not in ([b'"}'], [b'"', b"}"]):
            raise _damaged(path, "is not what was written")
        content = inner + b"}"
    try:
        record = json.loads(content)
    except ValueError as error:
        raise _damaged(path, f"is no JSON ({error})") from error
    if not isinstance(record, dict):
        raise _damaged(path, "holds no record")
    return record


def _damaged(path: Path, fault: str) -> DamagedError:
    return DamagedError(f"`{path}` {fault}: `nodulus fsck` lists what is damaged, and `--repair` sets it aside to be made again")
