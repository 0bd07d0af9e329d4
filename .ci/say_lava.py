# SPDX-License-Identifier: BSD-3-Clause
"""Say before the tests whether those of the Lava runtime will run."""

import importlib.util
import sys

version = ".".join(map(str, sys.version_info[:3]))
if importlib.util.find_spec("lava") is None:
    print(f"Python {version}: no Lava here (it needs 3.10); its tests are skipped.")
else:
    print(f"Python {version}: Lava is installed; all tests run.")
