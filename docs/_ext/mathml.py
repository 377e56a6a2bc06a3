"""Formulas as MathML, which browsers draw by themselves: no script, and nothing to fetch from elsewhere.

docutils translates the formulas. So that they look alike on every machine, the pages bring a font with mathematical
tables: STIX Two Math, as ``ziamath`` installs it.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from fontTools.ttLib import TTFont
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# names that docutils does not know, by names for the same that it does
SYNONYMS = {r"\dots": r"\ldots", r"\big(": r"\bigl(", r"\big)": r"\bigr)"}
TEXT = re.compile(r"(?<=<mtext>)[^<]+")
INDENT = re.compile(r"\n\s*")
FONT = "stix-two-math.woff"
STYLE = f"""@font-face {{ font-family: "STIX Two Math Web"; src: url("{FONT}") format("woff"); }}
math {{ font-family: "STIX Two Math Web", "STIX Two Math", "Cambria Math", math; font-size: 1.08em; }}
div.math {{ display: flex; align-items: center; overflow-x: auto; overflow-y: hidden; padding: .25em 0; }}
div.math > math {{ flex: 1 0 auto; }}
div.math > .eqno {{ order: 1; padding-left: 1em; }}
"""


def translate(tex: str, block: bool = False) -> str:
    """One formula as a ``<math>`` element; raises `MathError` for what has no translation."""
    for name, known in SYNONYMS.items():
        tex = tex.replace(name, known)
    try:
        markup: str = tex2mathml(tex.strip(), as_block=block)
    except (IndexError, SyntaxError) as error:  # what the translator raises where arguments are missing
        raise MathError(str(error)) from error
    # browsers trim the text of a formula; a space at its end is meant
    markup = TEXT.sub(lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), markup)
    return INDENT.sub("", markup)


def _formula(translator: Any, node: Any, block: bool) -> str:
    try:
        return translate(node.astext(), block)
    except MathError as error:
        logging.getLogger(__name__).warning("formula %r: %s", node.astext(), error, location=node)
        return f"<code>{translator.encode(node.astext())}</code>"


def visit_math(translator: Any, node: Any) -> None:
    markup = _formula(translator, node, block=False)
    translator.body.append(f"{translator.starttag(node, 'span', '', CLASS='math notranslate')}{markup}</span>")
    raise nodes.SkipNode


def visit_math_block(translator: Any, node: Any) -> None:
    translator.body.append(translator.starttag(node, "div", CLASS="math notranslate"))
    if node["number"]:
        translator.body.append(f'<span class="eqno">({get_node_equation_number(translator, node)})')
        translator.add_permalink_ref(node, "Link to this equation")
        translator.body.append("</span>")
    translator.body.append(f"{_formula(translator, node, block=True)}</div>\n")
    raise nodes.SkipNode


def write_font(folder: Path) -> None:
    """Write the font, compressed for browsers, and the style sheet that asks for it."""
    spec = find_spec("ziamath")
    if spec is None or spec.origin is None:
        raise RuntimeError("the formulas' font is missing: pip install ziamath")
    folder.mkdir(parents=True, exist_ok=True)
    font = TTFont(Path(spec.origin).parent / "fonts" / "STIXTwoMath-Regular.ttf", recalcTimestamp=False)
    font.flavor = "woff"
    font.save(folder / FONT)
    (folder / "mathml.css").write_text(STYLE, encoding="utf-8")


def _add_font(app: Sphinx) -> None:
    folder = Path(app.doctreedir).parent / "mathml"
    write_font(folder)
    app.config.html_static_path.append(str(folder))
    app.add_css_file("mathml.css")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.connect("builder-inited", _add_font)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
