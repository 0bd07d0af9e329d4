# SPDX-License-Identifier: BSD-3-Clause
"""Numbers of things, for people."""


def counted(number: int, noun: str) -> str:
    """As ``"1 image"`` or ``"1,024 images"``: nouns that take an s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
