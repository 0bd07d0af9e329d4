# SPDX-License-Identifier: BSD-3-Clause
"""What mkdocs.yml cannot say: pages from the root, and nothing from elsewhere."""

import re
from pathlib import Path

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
#: Pages that lie beside docs/, and what they are called in the site.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
#: What a browser would fetch from elsewhere to show a page.
FOREIGN = re.compile(
    r"""<(?:script|img|iframe|source|video)\b[^>]*\ssrc=["']?(?:https?:)?//[^>]*>"""
    r"""|<link\b(?=[^>]*rel=["']?(?:stylesheet|preload|icon))"""
    r"""[^>]*href=["']?(?:https?:)?//[^>]*>"""
)
MATHJAX = re.compile(r"<script[^>]*mathjax[^>]*>\s*</script>", re.IGNORECASE)


def on_files(files, config):
    """Add the pages of the repository's root, their links turned towards the site."""
    for name, place in PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        text = re.sub(r"\]\(docs/", "](", text)
        for other, target in PAGES.items():
            text = text.replace(f"]({other}", f"]({target}")
        files.append(File.generated(config, place, content=text))
    return files


def on_page_content(html, page, **_):
    """Take out the formula engine that notebooks would load; none has a formula."""
    return MATHJAX.sub("", html) if page.file.src_uri.endswith(".ipynb") else html


def on_post_page(output, page, **_):
    """Refuse a page that a browser without a network could not show."""
    if found := FOREIGN.search(output):
        raise PluginError(f"{page.file.src_uri}: loads {found[0][:200]}")
    return output
