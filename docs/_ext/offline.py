"""The site is read without a network: a built page that would load anything from elsewhere fails the build."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ELSEWHERE = re.compile(r"\s*(?:[a-z]+:)?//", re.IGNORECASE)  # https://..., and //... of the page's own scheme
STYLE = re.compile(r"(?:url\(\s*|@import\s+)[\"']?((?:[a-z]+:)?//[^\"')\s]+)", re.IGNORECASE)
# attributes that make a browser load what they name; <a href> does not, and <link> does by its rel
LOADING = {"src", "srcset", "data", "poster", "background"}
LINKS = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload", "manifest"}


class _Loads(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        loading = {value for name, value in values.items() if name in LOADING}
        if (tag == "link" and LINKS & set(values.get("rel", "").lower().split())) or tag in ("image", "use"):
            loading |= {values.get("href", ""), values.get("xlink:href", "")}
        self.found += sorted(value for value in loading if ELSEWHERE.match(value))
        self.found += STYLE.findall(values.get("style", ""))
        self.in_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self.in_style = False

    def handle_data(self, data: str) -> None:
        if self.in_style:
            self.found += STYLE.findall(data)


def loads_of_page(html: str) -> list[str]:
    """Addresses elsewhere that a browser would load to show a page: scripts, styles, images, frames, fonts."""
    parser = _Loads()
    parser.feed(html)
    return parser.found


def loads_of_style(css: str) -> list[str]:
    """Addresses elsewhere that a style sheet would load."""
    return STYLE.findall(css)


def loads_of_site(folder: Path) -> Iterator[tuple[Path, str]]:
    """Pairs (file, address elsewhere) of all pages and style sheets below a folder."""
    for suffix, loads in ((".html", loads_of_page), (".css", loads_of_style), (".svg", loads_of_page)):
        for path in sorted(folder.rglob(f"*{suffix}")):
            for address in loads(path.read_text(encoding="utf-8")):
                yield path.relative_to(folder), address


def _check(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        found = [f"{path} would load {address}" for path, address in loads_of_site(Path(app.outdir))]
        if found:
            raise RuntimeError("the site must be readable without a network:\n" + "\n".join(found))


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
