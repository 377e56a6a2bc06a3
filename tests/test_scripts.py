"""Ten things that a theorist does in an afternoon, none longer than a dozen lines."""

import importlib.util
import json

import numpy as np
import pytest

import rhmtheory as rt

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")


def test_a_grid_of_exponents():
    found = rt.predictions(v=[8, 16, 32], m=[2, 4], s=2, L=[3, 4], architectures=["cnn", "transformer"])
    exponents = {(row["v"], row["m"], row["L"], row["architecture"]): row["alpha"] for row in found.rows}
    assert len(exponents) == 24
    assert exponents[16, 4, 4, "cnn"] == 2 * exponents[16, 4, 4, "transformer"] == 1


def test_a_csv_file_with_several_runs(tmp_path):
    rhm, P = rt.RHM(v=8, m=2, s=2, L=3), np.geomspace(10, 1e6, 60)
    lines = ["grammar,P,loss"]
    for seed in range(4):
        p = rt.predict(rhm, "cnn", plateaus=rhm.grammar(seed).plateaus())
        lines += [f"{seed},{x:.6g},{loss:.6g}" for x, loss in zip(P, p.loss(P), strict=True)]
    (tmp_path / "curves.csv").write_text("\n".join(lines))
    table = rt.comparison.read_curves(tmp_path / "curves.csv")
    found = rt.compare(table.P, table.loss, [rhm.grammar(int(name)) for name in table.grammars], label="mine")
    assert found.crossings[-1].low < p.P.published[-1] * 1.3
    assert "mine" in str(found)


@needs_torch
def test_a_network_of_ones_own():
    import torch

    import rhmvalidation as rv

    grammar = rt.RHM(v=4, m=2, s=2, L=2).grammar(seed=0)
    network = torch.nn.Sequential(Context(), torch.nn.Linear(12, 64), torch.nn.ReLU(), torch.nn.Linear(64, 4))
    settings = rv.Settings(learning_rate=1e-2, optimiser="adamw", protocol="online", batch_size=32)
    found = rv.train(network, grammar, settings=settings, P=20_000)
    assert found.loss.min() < grammar.plateaus()[0]
    assert "test loss" in str(found)


def Context():
    """One-hot tokens but the last."""
    import torch

    class OneHot(torch.nn.Module):
        def forward(self, ids):
            return torch.nn.functional.one_hot(ids[:, :-1], 4).flatten(1).float()

    return OneHot()


def test_the_class_given_part_of_a_sentence():
    grammar = rt.RHM(v=8, m=2, s=2, L=3, n=4).grammar(seed=0)
    trees = grammar.sample_trees(500, seed=0)
    right = []
    for seen in (0, 4, 8):
        hidden = np.arange(grammar.shape.d) >= seen
        belief = grammar.posteriors(trees.tokens, level=3, mask=hidden)[:, 0]
        right.append((belief.argmax(axis=1) == trees.level(3)[:, 0]).mean())
    assert right == sorted(right)
    assert right[-1] == 1


def test_a_masked_token_in_the_middle():
    grammar = rt.RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    tokens = grammar.sample(500, seed=0)
    hidden = np.arange(8) == 3
    belief = grammar.posteriors(tokens, mask=hidden)[:, 3]
    loss = -np.log(np.take_along_axis(belief, tokens[:, 3:4].astype(int), axis=1)).mean()
    assert loss < rt.predict(grammar.rhm, "cnn").plateaus[1]


def test_entropy_at_every_position():
    grammar = rt.RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    exact = grammar.next_token_entropies()
    assert exact.shape == (8,)
    np.testing.assert_allclose(exact[-1], grammar.plateaus()[-1])


def test_rules_of_unequal_probability():
    heights = [rt.RHM(v=8, m=4, s=2, L=3, zipf=a).grammar(0).plateaus() for a in (0.5, 1.0)]
    assert heights[0][1] > heights[1][1]  # steeper laws are easier to predict


def test_levels_that_differ():
    rhm = rt.RHM(v=(8, 16, 16), m=(2, 4, 4), s=(2, 3, 2), L=3)
    p = rt.predict(rhm, "transformer")
    assert rhm.d == 12
    assert len(p.P.published) == 3
    assert rhm.grammar(0).plateaus().shape == (4,)


@needs_torch
def test_probes_of_a_network():
    import rhmvalidation as rv

    grammar = rt.RHM(v=4, m=2, s=2, L=2).grammar(seed=0)
    found = rv.train(rv.cnn(grammar.rhm, width=16), grammar, P=20_000)
    probes = rv.linear_probes(found.network, grammar, sentences=512)
    assert probes.share(1).max() <= 1
    assert probes.plot().lines


def test_export_to_other_programs(tmp_path):
    grammar = rt.RHM(v=8, m=2, s=2, L=3).grammar(seed=0)
    trees = grammar.sample_trees(20, seed=1)
    trees.save(tmp_path / "tokens.npy")
    trees.save(tmp_path / "trees.jsonl")
    assert np.array_equal(np.load(tmp_path / "tokens.npy"), trees.tokens)
    first = json.loads((tmp_path / "trees.jsonl").read_text().splitlines()[0])
    assert first["levels"][1] == trees.level(1)[0].tolist()
    assert grammar.to_cfg().count("->") > 0
    with pytest.raises(rt.InputError, match="end in"):
        trees.save(tmp_path / "trees.txt")


@pytest.mark.skipif(importlib.util.find_spec("pandas") is None, reason="needs pandas")
def test_tables_as_frames():
    found = rt.predict(rt.RHM(v=8, m=2, s=2, L=3), "cnn").to_frame()
    assert list(found["k"]) == [0, 1, 2]


def test_no_script_is_longer_than_a_dozen_lines():
    import ast
    from pathlib import Path

    nodes = [node for node in ast.parse(Path(__file__).read_text(encoding="utf-8")).body if hasattr(node, "body")]
    scripts = [node for node in nodes if node.name.startswith("test_")]
    assert [node.name for node in scripts if node.end_lineno - node.lineno > 14] == []
