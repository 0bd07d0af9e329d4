# SPDX-License-Identifier: BSD-3-Clause
"""The long description of the package; everything else is in pyproject.toml.

README.md is read where there is no repository, too: on the page of a package index and
by `pip show`. Links into the repository would lead nowhere there.
"""

import re
from pathlib import Path

from setuptools import setup

ELSEWHERE = r"(?!https?:|mailto:|#)"


def long_description(text):
    """Return a README whose links into the repository have become names of files.

    >>> long_description("![a](docs/a.png) [b](docs/b.md), [docs/c.md](docs/c.md)")
    ' b (`docs/b.md`), `docs/c.md`'
    """
    text = re.sub(rf"!\[[^\]]*\]\({ELSEWHERE}[^)]*\)", "", text)
    return re.sub(
        rf"\[([^\]]*)\]\({ELSEWHERE}([^)]*)\)",
        lambda m: f"`{m[2]}`" if m[1] == m[2] else f"{m[1]} (`{m[2]}`)",
        text,
    )


if __name__ == "__main__":
    readme = Path(__file__).parent / "README.md"
    setup(
        long_description=long_description(readme.read_text(encoding="utf-8")),
        long_description_content_type="text/markdown",
    )
