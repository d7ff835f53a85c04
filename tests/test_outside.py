"""What lies outside of the package: files are whole at any moment, and what is missing is named."""

import os
import threading

import pytest

from micrograd.outside import needed, write_whole


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / "file"
    write_whole(path, b"old")
    write_whole(os.fsencode(path), b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_what_was_left_behind_goes(tmp_path):
    old, new = tmp_path / "file[1].7.7.part", tmp_path / "file[1].8.8.part"
    for part in (old, new):
        part.write_bytes(b"half")
    os.utime(old, (0, 0))
    write_whole(tmp_path / "file[1]", b"new")
    assert sorted(os.listdir(tmp_path)) == ["file[1]", "file[1].8.8.part"]


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


def test_a_link_stays_one(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"old")
    link.symlink_to(path)
    write_whole(link, b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"


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
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "folder" / "file", b"new")


@pytest.mark.skipif(os.name != "posix", reason="devices are files on POSIX systems")
def test_what_is_no_file_is_written_to():
    write_whole(os.devnull, b"gone")
    assert not os.path.isfile(os.devnull)


def test_a_package_that_is_missing():
    assert needed("json", "micrograd[x]").loads("1") == 1
    with pytest.raises(ImportError, match=r'no_such cannot be loaded \(No module.*: pip install "micrograd\[x\]"'):
        needed("no_such", "micrograd[x]")
