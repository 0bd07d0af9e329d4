# SPDX-License-Identifier: BSD-3-Clause
import os
import signal

import pytest

from export.errors import UserError
from export.files.atomic import atomic, write_text


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half \udc80")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_result_is_whole_and_as_readable_as_any_file(tmp_path):
    path = tmp_path / "new" / "file"
    with atomic(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"file/x: cannot be written \("):
        write_text(tmp_path / "file" / "x", "")


@pytest.mark.skipif(os.name != "posix", reason="no fork")
def test_the_next_write_removes_what_a_killed_one_left(tmp_path):
    path = tmp_path / "file"
    child = os.fork()
    if child == 0:
        with atomic(path) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    (left,) = tmp_path.iterdir()
    assert left.read_text() == "half"
    with atomic(path) as running:  # a writer that is alive keeps its own
        running.write_text("other")
        write_text(path, "whole")
        assert sorted(tmp_path.iterdir()) == sorted([path, running])
    assert list(tmp_path.iterdir()) == [path]


def test_hidden_files_of_others_stay(tmp_path):
    names = [".file.00000000-1-x.tmp", ".file.x.tmp", ".other.tmp"]
    for name in names:
        (tmp_path / name).write_text("")
    write_text(tmp_path / "file", "")
    assert {p.name for p in tmp_path.iterdir()} == {"file", *names}
