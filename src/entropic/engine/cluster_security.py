"""Certificates for a cluster that we start: made for it alone, readable by its owner alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from distributed.security import Security

from entropic.errors import ResourceError

__all__ = ["CERTIFICATE", "KEY", "make_certificates", "private_directory", "security_of"]

CERTIFICATE = "ca.pem"  # of an authority that signs itself alone: who shows it, and its key, is one of us
KEY = "key.pem"


def private_directory(path: Path) -> Path:
    """A new directory that no one else can enter.

    Raises
    ------
    ResourceError
        It cannot be made, or the file system keeps no modes.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.mkdir(mode=0o700)
        path.chmod(0o700)  # whatever the umask, or a default access list, says
        mode, owner = stat.S_IMODE(path.stat().st_mode), path.stat().st_uid
    except OSError as error:
        raise ResourceError(f"cannot make {path}: {error.strerror or error}.", "choose another --out") from error
    if mode != 0o700 or owner != os.geteuid():
        raise ResourceError(
            f"{path} has mode {mode:o} and owner {owner}; expected 700 and {os.geteuid()}.",
            "put the run on a file system that keeps modes: keys are written there",
        )
    return path


def make_certificates(directory: Path) -> None:
    """Write a fresh certificate and its key into a private directory.

    Raises
    ------
    ResourceError
        They cannot be written.
    """
    made = Security.temporary()
    try:
        for name, text in ((CERTIFICATE, made.tls_client_cert), (KEY, made.tls_client_key)):
            handle = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(str(text))
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        raise ResourceError(f"cannot write {directory}: {error.strerror or error}.", "make room") from error


def security_of(directory: Path | None) -> Security | None:
    """The credentials in a directory, for every role; None: none."""
    if directory is None:
        return None
    certificate, key = str(directory / CERTIFICATE), str(directory / KEY)
    roles = {
        f"tls_{role}_{part}": value
        for role in ("client", "scheduler", "worker")
        for part, value in (("cert", certificate), ("key", key))
    }
    return Security(require_encryption=True, tls_ca_file=certificate, **roles)
