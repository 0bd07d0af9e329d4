# SPDX-License-Identifier: BSD-3-Clause
"""``setup-lava``."""

from __future__ import annotations

import sys

from loihi_unet.cli.console import JsonOption, print_json


def setup_lava(as_json: JsonOption = False) -> None:
    """Install Lava 0.10 and lava-dl 0.6 here, on Python 3.10 to 3.13.

    Their wheels are taken as they are. What they depend on comes with
    pip install 'loihi-unet[lava]', to be run before.

    Example: loihi-unet setup-lava
    """
    from loihi_unet.runs.setup_lava import setup_lava

    if not as_json:
        sys.stderr.write("pip installs lava-nc and lava-dl (76 MB)\n")
    wheels = setup_lava()
    if as_json:
        print_json({"installed": list(wheels)})
    else:
        sys.stdout.write(f"{' and '.join(wheels)} work here\n")
