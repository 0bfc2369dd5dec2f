"""File operations that fail, or that a process does not survive: each that writes below a run directory is counted.

``python shim.py N FAULT DIRECTORY -- run c.toml …`` is `entropic` with a fault at its N-th operation below DIRECTORY.
``python shim.py serve c.toml`` has kernels compiled, and takes cases to forks of itself (`Warm`), many a second.
"""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

KILLS = ("kill", "torn")  # before the operation; with half of the data written
ERRORS = ("ENOSPC", "EDQUOT", "EIO", "EROFS")
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}  # nothing that makes room fails for want of it
_REMOVALS = ("unlink", "remove", "rmdir")
_CALLS = ("mkdir", "rename", "replace", "link", "symlink", "fsync", *_REMOVALS)
_TARGET_SECOND = ("rename", "replace", "link", "symlink")


@final
@dataclass(frozen=True)
class Fault:
    """What comes of which operation.

    Attributes
    ----------
    number : int
        Of the operation, from 1; 0: none, operations are counted.
    what : str
        One of `KILLS` or `ERRORS`.
    lasting : bool
        Whether all operations from there on fail (while there is no room: but for removals).
    """

    number: int = 0
    what: str = "kill"
    lasting: bool = False


@final
@dataclass
class Shim:
    """Counts operations below a directory, and has one of them fail."""

    root: Path
    fault: Fault
    seen: Callable[[str, Path], None]  # an operation, before it is done
    done: Callable[[str, Path], None]
    count: int = 0

    def __post_init__(self) -> None:
        self.root = self.root.resolve()
        self._lock = threading.RLock()
        self._plain = {name: getattr(os, name) for name in (*_CALLS, "open", "kill", "getpid", "readlink", "fspath")}

    def install(self) -> None:
        for name in _CALLS:
            setattr(os, name, self._call(name))
        plain = io.open

        def opened(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
            if set(mode).isdisjoint("wax+") or not self._ours(place := self._place(file)):
                return plain(file, mode, *arguments, **named)
            return self.operation("open", place, lambda: _File(plain(file, mode, *arguments, **named), place, self))

        io.open = builtins.open = opened  # type: ignore[assignment]

    def _call(self, name: str) -> Callable[..., Any]:
        plain = self._plain[name]

        def called(*arguments: Any, **named: Any) -> Any:
            place = self._place(arguments[1 if name in _TARGET_SECOND else 0], named.get("dir_fd"))
            if not self._ours(place):
                return plain(*arguments, **named)
            return self.operation(name, place, lambda: plain(*arguments, **named))

        return called

    def _place(self, named: Any, directory: int | None = None) -> Path:
        if isinstance(named, int):
            return Path(self._plain["readlink"](f"/proc/self/fd/{named}"))
        start = Path.cwd() if directory is None else self._place(directory)
        return start / os.fsdecode(named)

    def _ours(self, place: Path) -> bool:
        return place == self.root or self.root in place.parents

    def operation(self, name: str, place: Path, act: Callable[[], Any], half: Callable[[], Any] | None = None) -> Any:
        """Do it, or not."""
        with self._lock:
            self.count += 1
            self.seen(name, place)
            if self._strikes(name):
                if half is not None and self.fault.what != "kill":
                    half()
                if self.fault.what in KILLS:
                    os.kill(os.getpid(), signal.SIGKILL)
                number = getattr(errno, self.fault.what)
                raise OSError(number, os.strerror(number), str(place))
            found = act()
            self.done(name, place)
            return found

    def _strikes(self, name: str) -> bool:
        if not self.fault.number or not self.fault.lasting:
            return self.count == self.fault.number
        number = getattr(errno, self.fault.what)
        return self.count >= self.fault.number and not (number in _NO_ROOM and name in (*_REMOVALS, "fsync"))


@final
class _File:
    """A file that is written to."""

    def __init__(self, file: Any, place: Path, shim: Shim) -> None:
        self._file, self._place, self._shim = file, place, shim

    def write(self, data: Any) -> int:
        half = data[: len(data) // 2]

        def torn() -> None:
            self._file.write(half)
            self._file.flush()

        def whole() -> int:
            count = self._file.write(data)
            self._file.flush()  # a file that is killed before it is closed has, else, nothing
            return int(count)

        return int(self._shim.operation("write", self._place, whole, torn))

    def close(self) -> None:
        if self._file.closed:
            return
        try:
            self._shim.operation("close", self._place, self._file.close)
        finally:
            self._file.close()

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@final
@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Attributes
    ----------
    status : int
        Of the process: 0 it ended well, −9 killed, otherwise the error's exit code (1: an error of no type of ours).
    operations : tuple of (str, str)
        Those that were begun, with their places below the run directory.
    committed : tuple of str
        Generations in the order in which they were renamed into place.
    said : dict
        ``type``, ``message``, ``remedy`` of the error; ``digest`` of a run that ended.
    """

    status: int
    operations: tuple[tuple[str, str], ...]
    committed: tuple[str, ...]
    said: dict[str, Any]


def _case(run: Path, config: Any, fault: Fault, resume: bool, say: Callable[[dict[str, Any]], None]) -> int:
    """In a fork: the run with its fault; returns what the process ends with."""
    from entropic.computer import EntropicComputer
    from entropic.errors import EntropicError

    def done(name: str, place: Path) -> None:
        if name == "rename" and place.name.startswith("cycle-"):
            say({"committed": place.name})

    shim = Shim(run, fault, lambda name, place: say({"operation": name, "place": str(place)}), done)
    shim.install()
    try:
        computer = EntropicComputer.resume(run) if resume else EntropicComputer(config, run)
        say({"said": {"digest": computer.run()["digest"]}})
    except EntropicError as error:
        say({"said": {"type": type(error).__name__, "message": error.message, "remedy": error.remedy}})
        return error.exit_code
    except BaseException as error:
        import traceback

        say({"said": {"type": type(error).__name__, "message": traceback.format_exc(), "remedy": ""}})
        return 1
    return 0


def _fork(config: Any, case: dict[str, Any]) -> Outcome:
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reader)

        def say(what: dict[str, Any]) -> None:
            os.write(writer, json.dumps(what).encode() + b"\n")

        code = 1
        try:
            code = _case(Path(case["run"]), config, Fault(**case["fault"]), case["resume"], say)
        finally:
            os._exit(code)
    os.close(writer)
    with open(reader, encoding="utf-8") as file:
        heard = [json.loads(line) for line in file]
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    root = Path(case["run"]).resolve()
    begun = [(entry["operation"], entry["place"]) for entry in heard if "operation" in entry]
    operations = tuple((name, str(Path(place).relative_to(root))) for name, place in begun)
    committed = tuple(entry["committed"] for entry in heard if "committed" in entry)
    said = next((entry["said"] for entry in heard if "said" in entry), {})
    return Outcome(status, operations, committed, said)


def _serve(text: Path) -> None:
    """A line of JSON for each case, a line for each outcome."""
    import zarr

    from entropic.computer import EntropicComputer
    from entropic.config import Config

    zarr.config.set({"async.concurrency": 1, "threading.max_workers": 1})  # the N-th operation is the same each time
    config = Config.from_toml(text)
    EntropicComputer(config).run()  # kernels are loaded
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(asdict(_fork(config, json.loads(line)))), flush=True)


@final
class Warm:
    """A process whose forks run a configuration."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, run: Path, fault: Fault = Fault(), resume: bool = False) -> Outcome:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"run": str(run), "fault": asdict(fault), "resume": resume}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the warm process is gone"
        heard = json.loads(line)
        operations = tuple((name, place) for name, place in heard["operations"])
        return Outcome(heard["status"], operations, tuple(heard["committed"]), heard["said"])


@contextmanager
def warm(text: Path, environment: dict[str, str]) -> Iterator[Warm]:
    """Have one, for as long as it is needed; ``text``: the configuration's file."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", __file__, "serve", str(text)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin and process.stdout and process.stdout.readline() == "ready\n"
        yield Warm(process)
        process.stdin.close()
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(30)


def _command() -> None:
    from entropic.cli import main

    number, what, directory = sys.argv[1:4]
    fault = Fault(int(number), what.removesuffix("+"), what.endswith("+"))
    Shim(Path(directory), fault, lambda *_: None, lambda *_: None).install()
    sys.argv = ["entropic", *sys.argv[5:]]
    main()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        _serve(Path(sys.argv[2]))
    else:
        _command()
