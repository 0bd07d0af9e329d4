# SPDX-License-Identifier: BSD-3-Clause
"""``python -m loihi_unet`` is ``loihi-unet``."""

from loihi_unet.cli.main import main

if __name__ == "__main__":
    # Lava spawns processes: the guard keeps them from running the command again.
    main()
