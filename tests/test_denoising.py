"""Sentences noised and denoised: susceptibility, length and U-turns against the list of all derivations."""

from itertools import product

import naive
import numpy as np
import pytest

from rhmtheory import RHM, InputError
from rhmtheory.exact.denoising import DENOISED, Denoised, denoised

RHM_TINY, NOISE = RHM(v=3, m=2, s=2, L=2, n=2), 0.35


def observations(tokens, process):
    """Everything that may be seen of tokens, as beliefs, with its probability."""
    v, eye = 3, np.eye(3)
    centred = NOISE / v + (1 - NOISE) * eye
    if process == "epsilon":
        yield centred[list(tokens)], 1.0
    elif process == "channel":
        for seen in product(range(v), repeat=len(tokens)):
            yield centred[list(seen)], np.prod([centred[x, a] for x, a in zip(tokens, seen, strict=True)])
    else:
        for hidden in product([False, True], repeat=len(tokens)):
            beliefs = np.where(np.array(hidden)[:, None], 1.0, eye[list(tokens)])
            yield beliefs, np.prod([NOISE if gone else 1 - NOISE for gone in hidden])


def all_changes(grammar, process):
    """Probability of each pattern of changes of all nodes, levels 0..L in one row after another."""
    cases = naive.derivations(*naive.tables_of(grammar))
    out = {}
    for tree, p in cases:
        nodes = np.concatenate(tree[::-1])
        for beliefs, chance in observations(tree[-1], process):
            weights = [q * np.prod([beliefs[i, x] for i, x in enumerate(other[-1])]) for other, q in cases]
            for (other, _), weight in zip(cases, np.array(weights) / sum(weights), strict=True):
                pattern = tuple((np.concatenate(other[::-1]) != nodes).tolist())
                out[pattern] = out.get(pattern, 0) + p * chance * weight
    return np.array(list(out)), np.array(list(out.values()))


@pytest.mark.parametrize("process", DENOISED)
def test_all_of_it_is_that_of_all_sentences_observations_and_derivations(process):
    grammar = RHM_TINY.grammar(seed=4)
    patterns, p = all_changes(grammar, process)
    assert p.sum() == pytest.approx(1)
    found = denoised(grammar, NOISE, samples=40_000, process=process, seed=1)
    mean = p @ patterns
    expected = [mean[:4].mean(), mean[4:6].mean(), mean[6]]
    assert (np.abs(found.changed[0] - expected) < 4.5 * found.changed_error[0]).all()
    sigma = patterns[:, :4] - mean[:4]
    C = np.einsum("n,ni,nj->ij", p, sigma, sigma)
    distance = np.abs(np.subtract.outer(range(4), range(4)))
    chi, length = C.sum() / C.trace(), (distance * C).sum() / (C.sum() - C.trace())
    assert abs(found.susceptibility[0] - chi) < 4.5 * found.susceptibility_error[0]
    assert found.susceptibility_error[0] < 0.03
    assert abs(found.length[0] - length) < 4.5 * found.length_error[0]
    by_distance = [C[distance == r].mean() for r in range(4)]
    np.testing.assert_allclose(found.covariance[0], by_distance, atol=0.006)


def test_errors_are_those_of_repeated_runs():
    grammar = RHM(v=6, m=2, s=2, L=3).grammar(seed=0)
    runs = [denoised(grammar, 0.4, samples=400, seed=seed) for seed in range(40)]
    for name in ("susceptibility", "changed"):
        values = np.array([getattr(run, name)[0] for run in runs])
        stated = np.mean([getattr(run, f"{name}_error")[0] for run in runs], axis=0)
        assert (np.abs(values.std(axis=0, ddof=1) / stated - 1) < 0.45).all()


def test_change_is_one_minus_the_belief_of_populations():
    grammar = RHM(v=8, m=2, s=2, L=5).grammar(seed=3)
    for process in ("channel", "epsilon"):
        noise = [0.2, 0.5] if process == "channel" else [0.6, 0.8]
        found = denoised(grammar, noise, samples=3000, process=process, seed=2)
        belief = grammar.overlaps(noise, process=process, members=4096, seed=1).belief
        assert (np.abs(1 - found.changed - belief) < 4.5 * found.changed_error + 0.01).all()


def test_ends_of_the_noise():
    grammar = RHM(v=6, m=2, s=2, L=3).grammar(seed=0)
    found = grammar.denoised([0.0, 1.0], samples=3000, seed=1)
    assert (found.changed[0] == 0).all()
    assert np.isnan(found.susceptibility[0])
    # a sentence drawn anew
    expected = [
        np.mean([1 - (grammar.marginal(level, i) ** 2).sum() for i in range(2 ** (3 - level))])
        for level in range(4)
    ]
    assert (np.abs(found.changed[1] - expected) < 4.5 * found.changed_error[1]).all()


def test_value_peak_and_plain_numbers():
    grammar = RHM(v=6, m=2, s=2, L=3).grammar(seed=0)
    one, two = (denoised(grammar, [0.3, 0.1], samples=50, seed=5) for _ in range(2))
    assert one == two
    assert one != denoised(grammar, [0.3, 0.1], samples=50, seed=6)
    assert one.to_dict()["peak"] == one.peak
    noise = np.array([0.4, 0.1, 0.2, 0.3])
    nothing = np.zeros((4, 4))
    # a parabola of vertex 0.22
    chi = 3 - (noise - 0.22) ** 2
    made = Denoised("channel", 2, noise, nothing, nothing, chi, 0 * chi, chi, chi, nothing)
    assert made.peak == pytest.approx(0.22)
    assert Denoised("channel", 2, noise, nothing, nothing, noise, noise, chi, chi, nothing).peak == 0.4


def test_plot_tells_the_three():
    grammar = RHM(v=6, m=2, s=2, L=3).grammar(seed=0)
    ax = denoised(grammar, [0.1, 0.3, 0.5], samples=50).plot()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "susceptibility χ",
        "class changes",
        "token changes",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": 1.2}, "leaves the range of probabilities: give numbers from 0 to 1"),
        ({"noise": 0.1, "process": "gaussian"}, "choose one of channel, epsilon, masking"),
        ({"noise": 0.1, "samples": 1}, "samples=1 is too small"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(InputError, match=message):
        denoised(RHM_TINY.grammar(seed=0), **options)
