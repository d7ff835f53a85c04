"""Files are whole at any moment, and whatever is no file is written to as it is."""

import errno
import io
import os
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from micrograd import files
from micrograd.files import read_whole, write_whole

posix = pytest.mark.skipif(os.name != "posix", reason="devices, pipes, modes and owners are those of POSIX systems")
ME = (os.getuid(), os.getgid()) if os.name == "posix" else (0, 0)
IS_ROOT = os.name == "posix" and ME[0] == 0  # who alone gives files away


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / "file"
    write_whole(path, b"old")
    write_whole(os.fsencode(path), b"new")
    assert path.read_bytes() == b"new"
    assert read_whole(path) == (str(path), b"new")
    assert os.listdir(tmp_path) == ["file"]


def test_a_stream_is_written_to_and_read(tmp_path):
    stream = io.BytesIO()
    write_whole(stream, b"one")
    write_whole(stream, b"two")
    assert stream.getvalue() == b"onetwo"
    assert read_whole(io.BytesIO(b"all")) == ("the stream", b"all")
    (tmp_path / "file").write_bytes(b"all")
    with open(tmp_path / "file", "rb") as opened:
        assert read_whole(opened) == (str(tmp_path / "file"), b"all")


def test_what_was_left_behind_goes_and_nothing_else(tmp_path):
    old, new = tmp_path / "file[1].0123abcd.micrograd.part", tmp_path / "file[1].89abcdef.micrograd.part"
    others = [tmp_path / name for name in ("file[1].7.part", "file[1].0123abcd.part", "file1.0123abcd.micrograd.part")]
    for part in (old, new, *others):
        part.write_bytes(b"half")
    for part in (old, *others):
        os.utime(part, (0, 0))
    write_whole(tmp_path / "file[1]", b"new")
    assert {path.name for path in tmp_path.iterdir()} == {"file[1]", new.name, *(path.name for path in others)}


def test_many_may_write_at_once(tmp_path):
    path = tmp_path / "file"
    contents = [bytes([i]) * 50_000 for i in range(4)]
    write_whole(path, contents[0])
    done = threading.Event()

    def write(content):
        for _ in range(25):
            write_whole(path, content)

    def read():
        while not done.is_set():
            seen.add(path.read_bytes())

    seen = set()
    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=[content]) for content in contents]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert seen <= set(contents)
    assert os.listdir(tmp_path) == ["file"]


@posix
@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_one(tmp_path, exists):
    path, link, further = tmp_path / "file", tmp_path / "link", tmp_path / "further"
    if exists:
        path.write_bytes(b"old")
    link.symlink_to("file")
    further.symlink_to(link)
    write_whole(further, b"new")
    assert link.is_symlink()
    assert further.is_symlink()
    assert not path.is_symlink()
    assert path.read_bytes() == b"new"


@posix
def test_links_that_lead_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.symlink("circle", "circle")
    os.symlink("no/such/file", "lost")
    for name, kind in (("circle", errno.ELOOP), ("lost", errno.ENOENT)):
        with pytest.raises(OSError) as error:
            write_whole(name, b"new")
        assert (error.value.errno, error.value.filename) == (kind, name)
    assert sorted(os.listdir()) == ["circle", "lost"]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(("name", "kind", "words"), [
    ("no/such/file", FileNotFoundError, "there is no folder 'no/such' to write to"),
    ("", FileNotFoundError, "No such file or directory"),
    ("folder", IsADirectoryError, "Is a directory"),
    ("folder/", IsADirectoryError, "Is a directory"),
    ("new/", IsADirectoryError, "Is a directory"),
])
def test_a_name_that_is_no_file_is_called_as_it_was_given(tmp_path, monkeypatch, name, kind, words):
    monkeypatch.chdir(tmp_path)
    os.mkdir("folder")
    with pytest.raises(OSError) as error:
        write_whole(name, b"new")
    if os.name == "posix":
        assert type(error.value) is kind
        assert (error.value.strerror, error.value.filename) == (words, name)
    assert os.listdir() == ["folder"]
    assert os.listdir("folder") == []


def test_a_long_name(tmp_path):
    path = tmp_path / ("é" * 100 + "x" * 55)  # 255 bytes, the most that there can be
    write_whole(path, b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert len(os.listdir(tmp_path)) == 1


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o666, 0o755, 0o200])
def test_a_file_keeps_its_mode_and_a_new_one_has_that_of_open(tmp_path, mode):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    before = os.umask(0o027)
    try:
        write_whole(path, b"new")
        write_whole(tmp_path / "other", b"new")
        with open(tmp_path / "usual", "wb"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert stat.S_IMODE((tmp_path / "other").stat().st_mode) == 0o640 == stat.S_IMODE((tmp_path / "usual").stat().st_mode)


@posix
def test_nobody_else_reads_what_is_on_the_way(tmp_path, monkeypatch):
    path, seen = tmp_path / "file", []
    path.write_bytes(b"old")
    path.chmod(0o600)
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (seen.append(os.fstat(number).st_mode), sync(number)))
    write_whole(path, b"new")
    assert [stat.S_IMODE(mode) for mode in seen if stat.S_ISREG(mode)] == [0o600]
    assert [mode for mode in seen if stat.S_ISDIR(mode)], "the folder is written to the disk, too"


@posix
@pytest.mark.parametrize("owner", [ME, *[(1234, 2345)] * IS_ROOT])
def test_a_file_keeps_its_owner(tmp_path, owner):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.chown(path, *owner)
    path.chmod(0o2640)
    write_whole(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid, stat.S_IMODE(path.stat().st_mode)) == (*owner, 0o2640)


NOBODY = 65534 if IS_ROOT else ME[0]
AS_NOBODY = ("import os, sys; sys.path.insert(0, sys.argv[1]); from micrograd.files import write_whole; "
             "os.getuid() or (os.setgid(65534), os.setuid(65534)); write_whole(sys.argv[2], b'new')")


@posix
@pytest.mark.parametrize(("owner", "file_mode", "folder_mode", "written"), [
    (NOBODY, 0o644, 0o555, True),   # a folder that takes no second file
    (NOBODY, 0o444, 0o777, False),  # a file that is protected, in one that does
    *[(0, 0o666, 0o777, True),      # a file of someone else, which is for all to write
      (0, 0o666, 0o1777, True),     # where only the owner may give its name away
      (0, 0o644, 0o777, False)] * IS_ROOT,
])
def test_where_a_file_cannot_be_replaced_it_is_written_in_place(owner, file_mode, folder_mode, written):
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        folder = Path(place, "folder")
        folder.mkdir()
        path = folder / "file"
        path.write_bytes(b"old and longer")
        os.chown(path, owner, -1)
        path.chmod(file_mode)
        folder.chmod(folder_mode)
        before = path.stat()
        result = subprocess.run([sys.executable, "-c", AS_NOBODY, Path(files.__file__).parents[1], path],
                                capture_output=True, text=True, timeout=200, check=False)
        if written:
            assert (result.returncode, result.stderr) == (0, "")
        else:
            assert f"PermissionError: [Errno 13] Permission denied: '{path}'" in result.stderr
        assert path.read_bytes() == (b"new" if written else b"old and longer")
        after = path.stat()
        assert (after.st_ino, after.st_uid, after.st_mode) == (before.st_ino, before.st_uid, before.st_mode)
        assert os.listdir(folder) == ["file"]
        folder.chmod(0o755)


def test_what_is_written_in_place_is_restored_if_that_fails(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old and longer")

    def busy(*args):
        raise OSError(errno.EBUSY, "Device or resource busy")  # as for a file that is a mount of its own

    def full(number):
        if os.fstat(number).st_ino == path.stat().st_ino and path.read_bytes() == b"new":
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", busy)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*file'"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old and longer"
    monkeypatch.setattr(os, "fsync", lambda number: None)
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


@posix
def test_a_device_is_written_to(tmp_path):
    write_whole(os.devnull, b"gone")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    link = tmp_path / "link"
    link.symlink_to(os.devnull)
    write_whole(link, b"gone")
    assert link.is_symlink()
    if os.path.exists("/dev/full"):
        with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
            write_whole("/dev/full", b"gone")


@posix
def test_a_pipe_is_written_to(tmp_path):
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(read_whole(pipe)))
    reader.start()
    write_whole(pipe, b"x" * 200_000)
    reader.join()
    assert got == [(str(pipe), b"x" * 200_000)]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@posix
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", *["/proc/self/fd/1"] * os.path.exists("/proc/self"), "link"])
def test_standard_output_is_written_to_where_it_is(tmp_path, name):
    if name == "link":
        name = str(tmp_path / "link")
        os.symlink("/dev/stdout", name)
    code = ("import sys; sys.path.insert(0, sys.argv[1]); from micrograd.files import write_whole; print('before'); "
            "write_whole(sys.argv[2], b'new\\n'); print('after')")
    words = [sys.executable, "-c", code, Path(files.__file__).parents[1], name]
    assert subprocess.run(words, stdout=subprocess.PIPE, timeout=200, check=True).stdout == b"before\nnew\nafter\n"
    log = tmp_path / "log"
    log.write_bytes(b"old\n")
    with open(log, "ab") as opened:  # as a shell does for >> log
        subprocess.run(words, stdout=opened, timeout=200, check=True)
    assert log.read_bytes() == b"old\nbefore\nnew\nafter\n"
