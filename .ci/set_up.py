# SPDX-License-Identifier: BSD-3-Clause
"""Makes an environment with this project and Lava: python .ci/set_up.py FOLDER.

What fails is one line; all that pip said is in FOLDER/pip.log. Older Pythons have to
read this file as well, because it has to refuse them.
"""

import os
import subprocess
import sys

OLDEST, NEWEST = (3, 10), (3, 13)
SIZE = "1.7 GB where pip finds a CPU-only torch, 6 GB with CUDA's libraries"


def fail(text):
    """Say one line and end."""
    sys.stderr.write(text + "\n")
    sys.exit(1)


def check():
    """Refuse a Python that was not tested, or that cannot make environments."""
    found = "{} is Python {}.{}".format(sys.executable, *sys.version_info)
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        fail(
            found + "; 3.10 to 3.13 are supported: choose one with "
            "PYTHON=..., e.g. make test PYTHON=python3.12"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        fail(found + " without '" + error.name + "': install its venv package")


def call(folder, *command):
    """Run a program of the environment; what it says goes to the log."""
    with open(os.path.join(folder, "pip.log"), "a+") as log:
        start = log.seek(0, os.SEEK_END)
        log.write("$ " + " ".join(command) + "\n")
        log.flush()
        program = os.path.join(folder, "bin", command[0])
        code = subprocess.call((program, *command[1:]), stdout=log, stderr=log)
        if not code:
            return
        log.seek(start)
        said = [line.strip() for line in log if line.strip()]
    errors = [line for line in said if line.lower().startswith("error")]
    fail(
        f"setting up {folder} failed: {(errors or said)[-1]} (all of it is in "
        f"{folder}/pip.log); does pip reach its registry, is there room on the disk? "
        "Then run the same again"
    )


def main(folder):
    """Make or complete the environment."""
    check()
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"setting up {folder} with Python {version} ({SIZE})")
    sys.stdout.flush()
    if subprocess.call((sys.executable, "-m", "venv", folder)):
        fail("no environment could be made in " + folder)
    pip = ("python", "-m", "pip", "install", "--progress-bar", "off")
    call(folder, *(*pip, "--upgrade", "pip"))
    call(folder, *(*pip, "-c", "constraints.txt", "-e", ".[lava,test]"))
    call(folder, "loihi-unet", "setup-lava")


if __name__ == "__main__":
    main(sys.argv[1])
