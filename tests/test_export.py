"""Grammars as plain lists and as text of a context-free grammar, and the commands on noise and grammars."""

import json
import re
from itertools import product

import numpy as np
import pytest

import rhmtheory as rt
from rhmtheory.cli import main


def test_plain_lists_make_the_same_grammar():
    grammar = rt.RHM(v=(6, 4), m=(2, 3), s=2, L=2, n=3, zipf=0.5).grammar(seed=1)
    content = json.loads(json.dumps(grammar.to_dict()))
    again = rt.Grammar.from_rules(**content)
    assert again == grammar
    assert again.fingerprint == grammar.fingerprint


def language(text):
    """All sentences of a context-free grammar in NLTK's form with their probabilities, by rewriting from S."""
    rules = {}
    for line in text.splitlines():
        symbol, sides = line.split(" -> ")
        for side in sides.split(" | "):
            *right, weight = side.split()
            rules.setdefault(symbol, []).append((right, float(weight.strip("[]"))))

    def below(symbol):
        if symbol.startswith("'"):
            return [((int(symbol.strip("'")),), 1.0)]
        out = []
        for right, weight in rules[symbol]:
            for parts in product(*map(below, right)):
                out.append((sum((p[0] for p in parts), ()), weight * np.prod([p[1] for p in parts])))
        return out

    return below("S")


def test_text_generates_the_sentences_of_the_grammar():
    grammar = rt.RHM(v=3, m=2, s=2, L=2, n=2, rule_probabilities=(0.75, 0.25)).grammar(seed=0)
    found = language(grammar.to_cfg())
    assert len(found) == grammar.shape.n_sentences
    for sentence, probability in found:
        assert np.exp(grammar.log_likelihood(np.array([sentence]))[0]) == pytest.approx(probability)


def test_rules_that_are_never_used_are_left_out():
    grammar = rt.RHM(v=4, m=2, s=2, L=1, rule_probabilities=(1.0, 0.0)).grammar(seed=0)
    assert all("|" not in line for line in grammar.to_cfg().splitlines()[1:])


def test_grammar_command_shows_and_saves(capsys, tmp_path):
    shape = ["--v", "4", "--m", "2", "--s", "2", "--L", "2", "--seed", "3"]
    grammar = rt.RHM(4, 2, 2, 2).grammar(seed=3)
    assert main(["grammar", *shape]) == 0
    assert capsys.readouterr().out.strip() == grammar.to_cfg()
    path = tmp_path / "g.npz"
    assert main(["grammar", *shape, "--out", str(path)]) == 0
    assert grammar.fingerprint[:12] in capsys.readouterr().out
    assert rt.Grammar.load(path) == grammar
    assert main(["grammar", "--grammar", str(path), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert rt.Grammar.from_rules(**{name: content[name] for name in grammar.to_dict()}) == grammar


def test_transition_command_tells_both(capsys, tmp_path):
    shape = ["--v", "8", "--m", "2", "--s", "2", "--L", "3"]
    figure = tmp_path / "t.png"
    options = ["--noise", "0.1", "--noise", "0.5", "--members", "64"]
    assert main(["transition", *shape, *options, "--plot", str(figure)]) == 0
    out = capsys.readouterr().out
    assert f"eps* = {rt.RHM(8, 2, 2, 3).noise_transition().noise:.4f}" in out
    assert re.search(r"0\.1 .*\d\.\d{3}", out)
    assert figure.stat().st_size > 1000
    assert main(["transition", *shape, *options, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    expected = rt.RHM(8, 2, 2, 3).grammar(seed=0).overlaps([0.1, 0.5], members=64)
    np.testing.assert_allclose(content["belief"], expected.belief)
    assert main(["transition", *shape, "--noise", "1.5"]) == 2
    assert "--noise" in capsys.readouterr().err
