"""A sentence with its tree: read from tokens or from all levels, as text, as a picture and as a figure."""

import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure

from rhmtheory import RHM, InputError
from rhmtheory.plotting import plot_derivation

MIXED = RHM(v=(4, 5, 3), m=2, s=(2, 3, 2), L=3, n=2)


@pytest.fixture(scope="module")
def grammar():
    return MIXED.grammar(seed=0)


def test_tokens_one_row_or_all_levels_give_the_same_tree(grammar):
    levels = list(grammar.sample_trees(1, seed=1).levels)
    derivation = grammar.tree(levels)
    for given in (levels[0], levels[0][0], levels[0][0].tolist(), [level[0] for level in levels]):
        assert str(grammar.tree(given)) == str(derivation)
    for found, true in zip(derivation.levels, levels, strict=True):
        np.testing.assert_array_equal(found, true[0])
    assert repr(derivation) == f"<Trees: {' '.join(map(str, levels[0][0]))}>"


def test_text_holds_each_node_once_and_children_below_their_parent(grammar):
    levels = [level[0] for level in grammar.sample_trees(1, seed=2).levels]
    lines = str(grammar.tree(levels)).splitlines()
    assert lines[0] == str(levels[3][0])
    read = {2: [], 1: [], 0: []}
    for line in lines[1:]:
        depth = len(line) - len(line.lstrip("│├└─ "))
        symbol, _, tokens = line[depth:].partition(" → ")
        read[{3: 2, 6: 1}[depth]].append(int(symbol))
        read[0] += map(int, tokens.split())
    assert [read[level] for level in (0, 1, 2)] == [level.tolist() for level in levels[:3]]
    # depth first: two nodes of level 2, each followed by its three nodes of level 1
    assert [len(line) - len(line.lstrip("│├└─ ")) for line in lines] == [0, 3, 6, 6, 6, 3, 6, 6, 6]
    assert [line[0] for line in lines[1:]] == ["├", "│", "│", "│", "└", " ", " ", " "]


def test_one_level_and_a_tuple_without_parent():
    grammar = RHM(v=4, m=2, s=2, L=1).grammar(seed=0)
    tokens = grammar.rules(1)[3, 0].tolist()
    assert str(grammar.tree(tokens)) == f"3 → {tokens[0]} {tokens[1]}"
    pairs = np.array([divmod(code, 4) for code in range(16)])
    bad = pairs[grammar.parents(1, pairs) < 0][0]
    assert str(grammar.tree(bad)) == f"? → {bad[0]} {bad[1]}"


def test_picture_and_figure_show_every_symbol(grammar):
    levels = [level[0] for level in grammar.sample_trees(1, seed=3).levels]
    symbols = [str(x) for level in levels for x in level]
    svg = ET.fromstring(grammar.tree(levels)._repr_html_())
    name = "{http://www.w3.org/2000/svg}"
    assert [text.text for text in svg.iter(f"{name}text")] == symbols
    assert len(list(svg.iter(f"{name}circle"))) == len(symbols)
    assert len(list(svg.iter(f"{name}path"))) == len(symbols) - 1  # one line up from all but the root
    for given in (grammar.tree(levels).plot, lambda ax: plot_derivation(grammar.tree(levels[0]), ax)):
        ax = Figure().subplots()
        assert given(ax) is ax
        assert [text.get_text() for text in ax.texts] == symbols
        ax.figure.canvas.draw()


def test_a_user_plots_the_tree_of_a_sample(grammar):
    ax = Figure().subplots()
    plot_derivation(grammar.tree(grammar.sample_trees(1, seed=0)), ax)
    assert len(ax.texts) == sum(MIXED.width(level) for level in range(4))


def test_the_nodes_of_the_largest_tree_do_not_overlap():
    grammar = RHM(v=32, m=2, s=2, L=6).grammar(seed=0)
    ax = Figure(figsize=(6.4, 4.6)).subplots()
    plot_derivation(grammar.tree(grammar.sample(1)), ax)
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts[:64]]
    assert all(a.x1 <= b.x0 for a, b in pairwise(boxes))


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        ([0.0] * 12, "tokens are of type float64"),
        ([0] * 11, r"tokens have shape \(11,\): give one sentence, \(12,\)"),
        ([[0] * 12] * 2, r"tokens have shape \(2, 12\): give one sentence"),
        ([0] * 11 + [4], r"tokens hold 4, outside 0\.\.3"),
        ([-1] * 12, r"tokens hold -1, outside 0\.\.3"),
        ([[0] * 12, [0] * 6, [0, 3], [0]], r"symbols of level 2 hold 3, outside 0\.\.2"),
        ([[0] * 12, [0] * 6, [0], [0]], r"symbols of level 2 have shape \(1,\)"),
    ],
)
def test_bad_sentences(grammar, sentence, message):
    with pytest.raises(InputError, match=message):
        grammar.tree(sentence)


def test_trees_that_nobody_can_read_are_refused():
    grammar = RHM(v=4, m=2, s=2, L=7).grammar(seed=0)
    with pytest.raises(InputError, match="d=128 tokens cannot be read when drawn: at most 64"):
        grammar.tree(grammar.sample(1))


def test_notebooks_show_ensembles_and_grammars():
    table = ET.fromstring(RHM(v=16, m=4, s=2, L=3)._repr_html_())
    assert [row[-1].text for row in table.iter("tr")] == ["16", "4", "2", "3", "16", "0.25", "8"]
    assert "per level" in MIXED._repr_html_()
    grammar = RHM(v=6, m=5, s=2, L=2).grammar(seed=0)
    table = ET.fromstring(grammar._repr_html_())
    rows = [[cell.text for cell in row] for row in table.iter("tr")]
    assert [row[0] for row in rows] == ["level", "2", "1"]
    first = " | ".join(" ".join(map(str, rule)) for rule in grammar.rules(2)[0, :4].tolist())
    assert rows[1][1].startswith(f"0 → {first} | …; 1 → ")
    assert rows[1][1].endswith("; and 2 symbols more")
    assert grammar.fingerprint[:12] in table[0].text


@pytest.mark.parametrize("sentence", [[[1, 2], [3]], [[1, [2]], [3], [4]], [[1, 2], 3]])
def test_ragged_sentences_are_refused_in_words(sentence):
    with pytest.raises(InputError, match=r"ragged|have shape"):
        RHM(8, 2, 2, 2).grammar(0).tree(sentence)
