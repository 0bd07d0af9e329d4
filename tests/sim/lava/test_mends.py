# SPDX-License-Identifier: BSD-3-Clause
"""Lava on newer Pythons: every mend is needed, works, and reaches every child."""

import importlib.util
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("lava.magma", reason="no Lava: loihi-unet setup-lava")

from sim.lava.mending import MENDS, LavaVersionError, check_release
from sim.lava.probes import PROBES

NEW_PYTHON = sys.version_info >= (3, 12)


def program(text, *arguments, folder=None):
    """Run a program of its own; return its output and what it said."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )


def names():
    """Mends of Lava; and of lava-dl, where torch is."""
    torch = importlib.util.find_spec("torch") is not None
    return [
        mend.name
        for mend in MENDS.values()
        if torch or not mend.module.startswith("lava.lib.dl")
    ]


def test_every_mend_has_a_probe():
    assert {mend.name for mend in MENDS.values()} == set(PROBES)


@pytest.mark.parametrize("name", names())
def test_mend_works(name):
    assert PROBES[name]()


# What each probe does on its own, where nothing is mended and warnings are errors.
UNMENDED = """
    import sys, warnings
    import sim.lava.mends
    name = sys.argv[1]
    mend, = [m for m in sim.lava.mending.MENDS.values() if m.name == name]
    del sim.lava.mending.MENDS[mend.module]
    import multiprocessing
    multiprocessing.set_start_method("spawn")
    from sim.lava.probes import PROBES
    warnings.simplefilter("error")
    try:
        works = PROBES[name]()
    except BaseException as error:
        works = False
    print("works" if works else "fails")
"""


@pytest.mark.skipif(not NEW_PYTHON, reason="older ones need only some of the mends")
@pytest.mark.parametrize("name", [n for n in names() if n != "object_detection"])
def test_probe_fails_without_its_mend(name):
    done = program(UNMENDED, name)
    assert done.stdout.strip() == "fails", done.stderr


MAIN = """
    import multiprocessing, sys
    if __name__ == "__main__":
        import sim.lava.mends
        from worker import works
        for method in ("spawn", "forkserver", "fork"):
            context = multiprocessing.get_context(method)
            with context.Pool(1) as pool:
                print(method, pool.map(works, [0]))
"""


def test_children_have_the_mends(tmp_path):
    # The main module's guard hides the import from children that run it again.
    (tmp_path / "worker.py").write_text(
        "def works(_):\n"
        "    from lava.magma.compiler.var_model import CoreEncoder\n"
        "    return CoreEncoder().x is not CoreEncoder().x\n"
    )
    (tmp_path / "main.py").write_text(textwrap.dedent(MAIN))
    done = subprocess.run(
        [sys.executable, "main.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    found = [f"{m} [True]" for m in ("spawn", "forkserver", "fork")]
    assert done.stdout.splitlines() == found, done.stderr


def test_another_release_is_refused(monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.9.0")
    with pytest.raises(
        LavaVersionError, match=r"lava-nc 0\.9\.0 is installed.*0\.10\.0"
    ):
        check_release()


REFUSED = """
    import importlib.metadata
    importlib.metadata.version = lambda name: "0.9.0"
    from sim.backend import BackendError, create
    try:
        create("lava")
    except BackendError as error:
        print(error)
"""


def test_another_release_is_one_line():
    done = program(REFUSED)
    assert done.stdout.count("\n") == 1, done.stderr
    assert "lava-nc 0.9.0 is installed" in done.stdout
    assert done.stdout.strip().endswith("run: loihi-unet setup-lava")


BROKEN = """
    import sys
    import sim.lava.mends

    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name == "lava.magma.core.process.process":
                raise SyntaxError("invalid syntax (process.py, line 1)")

    sys.meta_path.insert(1, Broken())
    from sim.backend import BackendError, create
    try:
        create("lava")
    except BackendError as error:
        print(error)
"""


def test_broken_lava_is_one_line():
    done = program(BROKEN)
    assert done.stdout.count("\n") == 1, done.stderr
    assert "cannot be imported here (SyntaxError: invalid syntax" in done.stdout


def test_slayer_without_torchvision():
    if importlib.util.find_spec("torch") is None:
        pytest.skip("slayer needs torch")
    done = program(
        """
        import sys, types
        # It wants more that may be missing, too, and would name the first.
        sys.modules["cv2"] = types.ModuleType("cv2")
        sys.modules["torchvision"] = None
        import sim.lava.mends
        from lava.lib.dl import netx, slayer
        print(slayer.block.cuba.Dense.__name__)
        try:
            slayer.obd.YOLOBase
        except ImportError as error:
            print(error)
        """
    )
    assert done.stdout.startswith("Dense\n"), done.stderr
    assert "object_detection.YOLOBase is not to be had" in done.stdout
    assert "torchvision" in done.stdout


def test_mending_comes_late_where_lava_was_first():
    done = program(
        """
        from lava.proc.conv import utils
        import sim.lava.mends
        from sim.lava.probes import geometry_of_convolutions
        print(geometry_of_convolutions())
        """
    )
    assert done.stdout.strip() == "True", done.stderr


def test_lava_is_stored_as_it_was():
    """Mended code must not reach the cache beside Lava's files."""
    done = program(
        """
        import importlib.util, marshal, sys
        import sim.lava.mends, lava.magma.compiler.var_model as module
        source = open(module.__file__, "rb").read()
        stored = open(importlib.util.cache_from_source(module.__file__), "rb").read()
        code = compile(source, module.__file__, "exec", dont_inherit=True)
        print(marshal.loads(stored[16:]).co_code == code.co_code)
        """
    )
    assert done.stdout.strip() == "True", done.stderr
