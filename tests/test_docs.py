"""The site is read without a network: formulas are drawn by the browser, and foreign addresses are found."""

import re
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
sys.path.insert(0, str(DOCS / "_ext"))

import offline

CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$]+)\$", re.DOTALL)
PAGES = sorted(DOCS.glob("*.md")) + sorted((DOCS / "course").glob("*.md"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_formulas_have_a_translation(path):
    pytest.importorskip("sphinx", reason="the docs extra is not installed")
    import mathml

    for block, inline in FORMULA.findall(CODE.sub("", path.read_text(encoding="utf-8"))):
        markup = mathml.translate(block or inline, block=bool(block))
        assert re.fullmatch(r"<math.*</math>", markup)


def test_formula_without_translation_is_refused():
    pytest.importorskip("sphinx", reason="the docs extra is not installed")
    import mathml

    with pytest.raises(mathml.MathError, match=r"\\nosuchcommand"):
        mathml.translate(r"\nosuchcommand{x}")
    with pytest.raises(mathml.MathError):
        mathml.translate(r"\frac{1}")
    # a space that stands at the end of a text is kept
    assert "for\N{NO-BREAK SPACE}<" in mathml.translate(r"\text{for }x")


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<script src="https://cdn.example/a.js"></script>', ["https://cdn.example/a.js"]),
        ("<img src='//example/a.png'>", ["//example/a.png"]),
        ('<link rel="stylesheet preload" href="HTTP://example/a.css">', ["HTTP://example/a.css"]),
        ("<style>@import 'https://example/a.css'; p { background: url(//example/b) }</style>",
         ["https://example/a.css", "//example/b"]),
        ('<p style="background: url( https://example/c )">', ["https://example/c"]),
        ('<svg><image href="https://example/d.svg"/></svg>', ["https://example/d.svg"]),
        ('<a href="https://example">link</a> <link rel="canonical" href="https://example">', []),
        ('<script src="_static/a.js"></script><img src="data:image/png;base64,//8="> url(//text)', []),
    ],
)  # fmt: skip
def test_loads_of_page(html, found):
    assert offline.loads_of_page(html) == found


def test_loads_of_site(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "page.html").write_text('<iframe src="https://example/frame"></iframe>')
    (tmp_path / "style.css").write_text('@font-face { src: url("https://example/font.woff") }')
    (tmp_path / "script.js").write_text("// https://example/licence")
    assert sorted(offline.loads_of_site(tmp_path)) == [
        (Path("deep/page.html"), "https://example/frame"),
        (Path("style.css"), "https://example/font.woff"),
    ]


@pytest.mark.parametrize("path", [*PAGES, DOCS.parent / "README.md"], ids=lambda path: path.stem)
def test_links_lead_somewhere_and_pictures_have_words(path):
    text = path.read_text(encoding="utf-8")
    bare = CODE.sub("", text)
    for target in re.findall(r"\{doc\}`(?:[^`<]*<)?([^`>]+)>?`", text):
        if not target.startswith("gallery/"):  # made by the build
            assert (path.parent / f"{target}.md").exists(), target
    for words, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", bare):
        assert words, target
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", bare):
        assert (path.parent / target).exists(), target
    for target, rest in re.findall(r"```\{figure\} (\S+)\n(.*?)```", text, re.DOTALL):
        assert (path.parent / target).exists(), target
        assert ":alt: " in rest, target


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_python_of_the_first_screen_runs(page, capsys):
    names = {}
    for code in re.findall(r"^```python\n(.*?)^```", (DOCS.parent / page).read_text(encoding="utf-8"), re.M | re.S):
        exec(code, names)
    assert "P_k published" in capsys.readouterr().out


# --- the house --------------------------------------------------------------------------------------------


def test_places_named_in_the_house_exist():
    """Of 'where do I change': paths, and names in the table of networks and laws."""
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    places = re.findall(r"^\d+\. .*?\*\* `([^`]+)`", text, re.MULTILINE)
    assert len(places) == 10
    assert [place for place in places if not (DOCS.parent / place).exists()] == []


def test_drawing_of_the_house_has_every_room_and_marks_what_points_up():
    pytest.importorskip("sphinx", reason="the docs extra is not installed")
    import house

    floors = house.load_floors()
    for package, rows in floors.FLOORS.items():
        svg = house.drawing(package, floors)
        assert svg.count("<rect") == sum(map(len, rows))
        assert 'class="upward"' not in svg
    floors.upward = lambda pairs, table: [("rhmtheory.language.grammar", "rhmtheory.exact.entropy")]
    assert house.drawing("rhmtheory", floors).count('class="upward"') == 1


# --- the page of claims -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def invented_study():
    """Networks that obey the published laws to the letter, but for the LCN, which does as the CNN does."""
    import staircases

    import rhmtheory as rt
    from rhmtheory.comparison import study

    return study(
        [
            staircases.curves(rt.RHM(v=4 * m, m=m, s=2, L=3), label, law, true=true, noise=0.02, seed=m)
            for m in (3, 4, 5)
            for label, law, true in (
                ("cnn", "cnn", "cnn"),
                ("lcn", "lcn", "cnn"),
                ("decoder", "transformer", "transformer"),
            )
        ]
    )


def test_claims_are_told_with_number_and_verdict_of_the_study(invented_study):
    pytest.importorskip("sphinx", reason="the docs extra is not installed")
    import claims

    found = {claim.says.partition(" (")[0]: claim for claim in claims.claims(invented_study)}
    for law, verdict in (("transformer", "agrees"), ("cnn", "agrees"), ("lcn", "disagrees")):
        steps = found[claims.STEPS[law][1]]
        assert len(steps.evidence) == 4  # three ensembles and the slope against m
        for (_, number, judged), m in zip(steps.evidence, claims._networks(invented_study, law), strict=False):
            assert number == str(m.step_factor.measured)
            assert re.search(rf"published [\d.]+: \*\*{verdict}\*\*", judged)
    assert "not measured" in str(found["Learning the class of a sentence"])
    for claim in [*found.values(), *claims.loose_claims(invented_study)]:
        assert claim.evidence
        assert all(len(row) == 3 and all(row) for row in claim.evidence)


def test_gain_of_the_cnn_is_that_of_the_laws(invented_study):
    """From level to level a factor m; none at the first step."""
    pytest.importorskip("sphinx", reason="the docs extra is not installed")
    import claims

    for comparison in invented_study.comparisons:
        gains = claims._gains(*claims._pair(comparison))
        assert gains[1] == pytest.approx(1, rel=0.1)
        assert gains[2] == pytest.approx(comparison.rhm.m, rel=0.1)
