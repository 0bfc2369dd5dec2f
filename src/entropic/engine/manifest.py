"""The manifest of a generation: size and SHA-256 of every file, and its own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

__all__ = ["MANIFEST", "holds", "read_manifest", "sealed", "sha256_of"]

MANIFEST = "manifest.json"


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sealed(manifest: dict[str, Any]) -> str:
    """The text of a manifest, with its own SHA-256 in it."""
    body = json.dumps(manifest, indent=1, sort_keys=True)
    return json.dumps({**manifest, "seal": hashlib.sha256(body.encode()).hexdigest()}, indent=1, sort_keys=True)


def read_manifest(generation: Path) -> dict[str, Any]:
    """What `sealed` wrote.

    Raises
    ------
    ValueError, LookupError, TypeError, AttributeError, OSError
        It is not, to the letter, what was written, or not this generation's.
    """
    text = (generation / MANIFEST).read_text("utf-8")
    manifest: dict[str, Any] = json.loads(text)
    del manifest["seal"]
    if (generation / MANIFEST).is_symlink():
        raise ValueError("it is elsewhere")
    if text != sealed(manifest) or not generation.name.startswith(f"cycle-{manifest['cycle']:09d}-"):
        raise ValueError("it was changed")
    return manifest


def holds(generation: Path, name: str, files: dict[str, dict[str, Any]]) -> bool:
    """Whether a file is in its place, as the manifest says."""
    path = generation / name
    return name in files and not path.is_symlink() and path.is_file() and sha256_of(path) == files[name]["sha256"]
