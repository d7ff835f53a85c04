"""Files and streams, read and written whole: a file that is written is there as it was, or as it is to be."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from contextlib import suppress
from time import time
from typing import IO, Any, Union

FileName = Union[str, "os.PathLike[str]"]
File = Union[FileName, bytes, IO[bytes]]
LEFT = 600  # seconds, after which nobody is still writing
NOT_OURS = (errno.EPERM, errno.EACCES, errno.EBUSY, errno.EINVAL)  # to replace, or to give the owner that it has


def check_stream(file: Any, act: str) -> None:
    """Raise TypeError for anything but the name of a file or an open stream to `act` on, "read" or "write"."""
    if isinstance(file, type) or not callable(getattr(file, act, None)):
        raise TypeError(f"the name of a file is needed, or an open stream of bytes to {act}, found "
                        f"{type(file).__name__} {file!r:.40}")


def read_whole(file: File) -> tuple[str, bytes]:
    """The name of a file, or of an open stream of bytes, for messages; and all that is in it."""
    if not isinstance(file, (str, bytes, os.PathLike)):
        check_stream(file, "read")
        return str(getattr(file, "name", "the stream")), file.read()
    name = os.fsdecode(file)
    with open(name, "rb") as opened:
        return name, opened.read()


def write_whole(file: File, content: bytes) -> None:
    """Write a file over the one of that name. Whenever this is cut short, the old file or the new one is there.

    Anything but a file is written to as it is, and never replaced: a device, a pipe, a descriptor of this process such
    as /dev/stdout, an open stream of bytes. A link is followed. A file keeps its mode and its owner; a new one gets
    those that `open` gives. Where that cannot be (the folder takes no second file, the owner is someone else, the file
    is a mount of its own) it is written in place, and gets its old content back if that fails.

    What is written on the way has a name of its own, so that several may write at once; what one who was killed left
    behind is taken away later. Raises OSError, with the name as it was given, where nothing can be written.
    """
    if not isinstance(file, (str, bytes, os.PathLike)):
        check_stream(file, "write")
        file.write(content)
        file.flush()
        return
    name = os.fsdecode(file)
    try:
        number, there = descriptor(name), status(name)
        if number is not None:
            if sys.stdout is not None:
                sys.stdout.flush()  # what was printed comes first
            pour(os.dup(number), content)
        elif there is not None and not stat.S_ISREG(there.st_mode):
            pour(os.open(name, os.O_WRONLY), content)
        else:
            replace(os.path.realpath(name), there, content)
    except OSError as error:
        if error.errno == errno.ENOENT and name and not os.path.isdir(folder := os.path.dirname(name) or os.curdir):
            raise FileNotFoundError(errno.ENOENT, f"there is no folder {folder!r} to write to", name) from None
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, name) from None


def descriptor(name: str) -> int | None:
    """The number of the open file that a name such as /dev/stdout or /dev/fd/3 stands for; None for other names.

    To open such a name again would lose the place: what a shell opened for `>> file` would be cut, or overwritten.
    """
    for _ in range(40):  # links, of which some go in circles
        folder, last = os.path.split(name)
        if last.isdecimal() and re.fullmatch(rf"/dev/fd|/proc/{os.getpid()}(/task/\d+)?/fd", os.path.realpath(folder)):
            return int(last)
        if not os.path.islink(name):
            break
        name = os.path.join(folder, os.readlink(name))
    return None


def status(name: str) -> os.stat_result | None:
    """The status of the file of that name; None if there is none. An OSError if no file can be written to that name."""
    if name and not os.path.basename(name):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    try:
        there = os.stat(name)
    except FileNotFoundError:
        if not name:
            raise
        return None
    if not os.access(name, os.W_OK):  # a name in a folder can be given to another file, though this one is protected
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
    return there


def pour(number: int, content: bytes) -> None:
    """Write to an open descriptor, and close it."""
    with os.fdopen(number, "wb") as opened:
        opened.write(content)


def replace(target: str, there: os.stat_result | None, content: bytes) -> None:
    """Put a new file in the place of the one that is there, or of none."""
    folder, name = os.path.split(target)
    name = name[:50]  # of long ones, as names have an end
    take_away_what_was_left(folder, name)
    part = os.path.join(folder, f"{name}.{os.urandom(4).hex()}.micrograd.part")
    try:
        made = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0),
                       0o666 if there is None else 0o600)
    except PermissionError:
        if there is None:
            raise
        return overwrite(target, content)
    try:
        with os.fdopen(made, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(made)  # before the name changes: else, after a power cut, the file may be there and empty
        if there is not None:
            keep_mode_and_owner(part, there)
        os.replace(part, target)
    except BaseException as error:
        with suppress(OSError):
            os.remove(part)
        if there is None or not isinstance(error, OSError) or error.errno not in NOT_OURS:
            raise
        return overwrite(target, content)
    with suppress(OSError):  # not every system opens folders
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def keep_mode_and_owner(part: str, there: os.stat_result) -> None:
    """Give a file the mode and the owner of another. An OSError where that is not for us to give."""
    if os.name == "posix":
        made = os.stat(part)
        if (made.st_uid, made.st_gid) != (there.st_uid, there.st_gid):
            os.chown(part, there.st_uid, there.st_gid)
        os.chmod(part, stat.S_IMODE(there.st_mode))


def overwrite(target: str, content: bytes) -> None:
    """Write a file in place; whatever prevents that, except the end of the process, leaves it as it was."""
    with open(target, "r+b") as opened:
        before = opened.read()

        def put(whole: bytes) -> None:
            opened.seek(0)
            opened.write(whole)
            opened.truncate()
            opened.flush()
            os.fsync(opened.fileno())

        try:
            put(content)
        except BaseException:
            with suppress(OSError):
                put(before)
            raise


def take_away_what_was_left(folder: str, name: str) -> None:
    """Remove the beginnings of a file that somebody who was killed has left behind."""
    left = re.compile(re.escape(name) + r"\.[0-9a-f]{8}\.micrograd\.part")
    with suppress(OSError):
        for path in [os.path.join(folder, found) for found in os.listdir(folder) if left.fullmatch(found)]:
            if time() - os.path.getmtime(path) > LEFT:
                os.remove(path)
