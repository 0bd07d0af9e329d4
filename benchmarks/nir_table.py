# SPDX-License-Identifier: BSD-3-Clause
"""Print the table of NIR's primitives that docs/nir.md shows."""

from loihi_unet.frontend.nir.primitives import table

if __name__ == "__main__":
    print("| primitive | read | written | how exact |")
    print("|---|---|---|---|")
    for row in table():
        print("| " + " | ".join(row) + " |")
