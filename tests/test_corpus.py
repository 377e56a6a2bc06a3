"""Exponents of a corpus: decays of known processes, cut-offs, files, and what bad files say."""

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from rhmtheory import InputError
from rhmtheory.cli import main
from rhmtheory.corpus import _correlations, _ngrams, _source
from rhmtheory.corpus._windows import slope_weights
from rhmtheory.corpus.decays import analyse_corpus
from rhmtheory.corpus.pairs import count_pairs
from rhmtheory.corpus.text import read_tokens


def renewal_sequence(rng, N, index, symbols=4, longest=4000):
    """A symbol is kept for a power-law time, then drawn anew; and the exact correlation with itself."""
    tail = np.arange(1, longest + 1, dtype=float) ** -index  # P(T >= k)
    times = np.searchsorted(-tail, -rng.random(N), side="right")
    x = np.repeat(rng.integers(symbols, size=N), times)[:N]
    # stationary probability that no drawing lies between two tokens t apart
    kept = np.cumsum(tail[::-1])[::-1] / tail.sum()
    return x, lambda t: kept[np.asarray(t)] / symbols


def slope(x, y):
    return float(slope_weights(np.asarray(x)) @ y)


def test_decay_of_correlations_of_a_renewal_process():
    rng = np.random.default_rng(0)
    x, exact = renewal_sequence(rng, 1_000_000, 1.8)
    result = analyse_corpus(x, window=(2, 100), largest_context=3)
    inside = result.resolved & (result.lags >= 2) & (result.lags <= 100)
    assert result.window[1] > 50
    expected = -slope(np.log(result.lags[inside]), np.log(exact(result.lags[inside])))
    spread = (result.beta.high - result.beta.low) / 3.92  # a 95% interval is 3.92 standard errors wide
    assert abs(result.beta.best - expected) < 4 * spread
    assert spread < 0.15
    error = abs(result.correlation[inside] - exact(result.lags[inside]))
    assert (error < 0.1 * result.correlation[inside] + 3 * result.noise[inside]).all()


def hidden_chain(rng, N):
    """Binary tokens of a three-state hidden Markov chain, and their exact conditional entropies."""
    T = np.array([[0.9, 0.1, 0.0], [0.0, 0.8, 0.2], [0.3, 0.0, 0.7]])
    E = np.array([[0.95, 0.05], [0.2, 0.8], [0.5, 0.5]])
    pi = np.linalg.matrix_power(T, 200)[0]
    state, x = 0, np.empty(N, np.int64)
    u, w = rng.random(N), rng.random(N)
    cumulative = T.cumsum(axis=1)
    for i in range(N):
        state = int(np.searchsorted(cumulative[state], u[i]))
        x[i] = w[i] > E[state, 0]

    def block_entropy(n):
        p = []
        for word in product((0, 1), repeat=n):
            forward = pi
            for i, y in enumerate(word):
                forward = (forward if i == 0 else forward @ T) * E[:, y]
            p.append(forward.sum())
        return -sum(q * np.log(q) for q in p)

    return x, [block_entropy(n + 1) - block_entropy(n) for n in range(1, 8)]


def test_conditional_entropies_of_a_hidden_chain():
    rng = np.random.default_rng(1)
    x, exact = hidden_chain(rng, 200_000)
    result = analyse_corpus(x, window=(1, 6), floor=0.5)
    assert result.usable == 7
    assert result.entropies == pytest.approx(exact, abs=0.004)
    expected = -slope(np.log(np.arange(1, 8)), np.log(np.array(exact) - 0.5))
    assert result.fitted == 7
    assert result.gamma.low < expected < result.gamma.high
    assert result.alpha.best == pytest.approx(result.gamma.best / (2 * result.beta.best))
    assert result.alpha.low < result.alpha.best < result.alpha.high
    # both decays of a chain are exponential in the end
    assert result.beta_verdict == "no power law"
    assert "alpha is a ratio of two slopes, and no forecast" in str(result)


def test_counts_that_run_out_are_left_out():
    # independent tokens within blocks that repeat: entropy of long contexts is a matter of coverage alone
    rng = np.random.default_rng(2)
    x, _ = renewal_sequence(rng, 60_000, 1.5, symbols=12)
    x = np.where(rng.random(60_000) < 0.5, rng.integers(12, size=60_000), x)
    result = analyse_corpus(x, window=(1, 6))
    assert 3 <= result.usable < 6
    assert (abs(result.drift[: result.usable]) <= 0.03).all()
    assert abs(result.drift[result.usable]) > 0.03
    # what is used is right to a few percent: the same on ten times the data
    long, _ = renewal_sequence(np.random.default_rng(3), 600_000, 1.5, symbols=12)
    long = np.where(rng.random(600_000) < 0.5, rng.integers(12, size=600_000), long)
    more = analyse_corpus(long, window=(1, 6))
    assert result.entropies[: result.usable] == pytest.approx(more.entropies[: result.usable], rel=0.05)


def test_without_countable_contexts_beta_stands_alone():
    x = np.random.default_rng(0).integers(90, size=2500).cumsum() // 50 % 90
    result = analyse_corpus(x)
    assert result.usable < 3
    assert np.isfinite(result.beta.best)
    assert np.isnan(result.gamma.best)
    assert np.isnan(result.alpha.best)
    assert "gamma and alpha are not measured" in str(result)
    json.dumps(result.to_dict(), allow_nan=False)
    result.plot()[0].figure.canvas.draw()


def test_no_correlation_is_not_resolved():
    x = np.random.default_rng(0).integers(20, size=50_000)
    with pytest.raises(InputError, match=r"0 lags are resolved .*give more data") as error:
        analyse_corpus(x)
    assert "window=" not in str(error.value)  # none was given


def test_parts_that_differ_are_told():
    rng = np.random.default_rng(3)
    x, _ = renewal_sequence(rng, 60_000, 1.7, symbols=6)
    assert analyse_corpus(x, largest_context=3).falls_to_noise
    x[30_000:] = np.minimum(x[30_000:], rng.integers(6, size=30_000))
    mixed = analyse_corpus(x, largest_context=3)
    assert not mixed.falls_to_noise
    assert "correlations never fall to the noise" in str(mixed)


# --- decays that are none, and noise of what hangs together ------------------------------------------------------


def lazy_chain(rng, N, stay, symbols=6):
    """A symbol is kept with this probability, else drawn anew: covariance ``stay**t / symbols``."""
    fresh, keep = rng.integers(symbols, size=N), rng.random(N) < stay
    keep[0] = False
    return fresh[np.maximum.accumulate(np.where(keep, 0, np.arange(N)))]


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_that_of_a_text_that_hangs_together(seed):
    """Bartlett: its square is larger by the sum of .81**h over all lags, 9.5; independent pairs show 1.12e-3."""
    x = lazy_chain(np.random.default_rng(seed), 300_000, 0.9)
    result = analyse_corpus(x, largest_context=3)
    assert result.noise[0] == pytest.approx(3.46e-3, rel=0.15)
    beyond = result.correlation[result.lags > 200]
    assert result.noise[-1] == pytest.approx(beyond.mean(), rel=0.2)
    assert result.falls_to_noise
    # .9**t / 6 is twice the noise at t = 30
    assert 24 <= result.range <= 36
    assert result.beta_verdict == "no power law"
    assert result.gamma_verdict == "no decay"
    assert np.isnan(result.alpha.best)
    assert "beta: no power law" in str(result)


def test_noise_of_independent_tokens_is_that_of_independent_pairs():
    x = np.random.default_rng(0).integers(12, size=200_000)
    source = _source.open_corpus(x, "tokens", 12, 16)
    pairs = count_pairs(x, 12, distances=[1])
    measured = _correlations._noise_of_a_pair(source, 16) / np.sqrt(pairs.pairs[0])
    assert measured == pytest.approx(pairs.noise_operator_norm(draws=50)[0], rel=0.1)


@pytest.mark.parametrize("stay", [0.3, 0.5])
def test_short_chains_are_no_power_laws(stay):
    """Three to six lags are enough to tell."""
    result = analyse_corpus(lazy_chain(np.random.default_rng(1), 300_000, stay), largest_context=3)
    assert result.window[1] <= 6
    assert result.beta_verdict == "no power law"
    assert result.beta_halves[1] > 1.5 * result.beta_halves[0]


def test_a_period_has_no_decay():
    """Seen through noise; beta is zero, and nothing can be divided by it."""
    rng = np.random.default_rng(2)
    x = np.where(rng.random(100_000) < 0.3, rng.integers(6, size=100_000), np.arange(100_000) % 6)
    result = analyse_corpus(x)
    assert abs(result.beta.best) < 0.01
    assert result.beta_verdict == "no decay"
    assert np.isnan([result.alpha.best, result.alpha.low, result.alpha.high]).all()
    assert not result.falls_to_noise
    assert "alpha is undefined" in str(result)


def test_entropies_that_come_to_rest_are_no_power_law():
    """Three symbols before a token tell all there is to tell."""
    rng = np.random.default_rng(3)
    P = rng.dirichlet(np.full(3, 0.4), size=(3, 3, 3)).cumsum(axis=-1)
    x, u = np.zeros(100_000, int), rng.random(100_000)
    for i in range(3, len(x)):
        x[i] = min(int(np.searchsorted(P[x[i - 3], x[i - 2], x[i - 1]], u[i])), 2)
    result = analyse_corpus(x)
    assert np.ptp(result.entropies[2:6]) < 0.01 * result.entropies[2]
    assert result.gamma_verdict == "no power law"
    assert abs(result.gamma_halves[1]) < 0.01
    assert "no forecast" in str(result)


def test_slow_decays_are_said_to_be_out_of_range():
    x, _ = renewal_sequence(np.random.default_rng(0), 100_000, 1.3, longest=100_000)
    result = analyse_corpus(x, largest_context=3)
    assert any("beta may be below 0.6" in note for note in result.notes)
    assert result.to_dict()["notes"] == list(result.notes)


def test_no_context_at_all_is_told():
    """Of many symbols even pairs are rare: no "n = 1..0 tokens"."""
    rng = np.random.default_rng(0)
    x, _ = renewal_sequence(rng, 2100, 1.8, symbols=3)
    x = 70 * x + rng.integers(70, size=len(x))
    result = analyse_corpus(x // 70 * 70 + np.where(rng.random(len(x)) < 0.9, 0, x % 70))
    text = str(replace(result, usable=0))
    assert "1..0" not in text
    assert "not measured, pairs of tokens are too rare" in text


def test_a_mark_is_no_symbol_and_a_line_end_is_one(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"\xef\xbb\xbfab\r\nc\rd\n")
    tokens, symbols = read_tokens(tmp_path / "x.txt")
    assert "".join(symbols[i] for i in tokens) == "ab\nc\rd\n"
    assert len(read_tokens(tmp_path / "x.txt", "bytes")[0]) == 11


def text_of(x):
    return "".join("abcdefghijkl"[i] for i in x)


def test_sources_agree(tmp_path):
    x, _ = renewal_sequence(np.random.default_rng(4), 50_000, 1.5, symbols=5)
    (tmp_path / "x.txt").write_text(text_of(x))
    np.save(tmp_path / "x.npy", (7 * x + 3).astype(np.int32))
    options = {"largest_context": 3, "segments": 16}
    results = [
        analyse_corpus(x, **options),
        analyse_corpus(tmp_path / "x.txt", **options),
        analyse_corpus(tmp_path / "x.txt", "bytes", **options),
        analyse_corpus(tmp_path / "x.npy", **options),
    ]
    for other in results[1:]:
        assert other.to_dict() == results[0].to_dict()
    assert results[0].tokens == 50_000
    assert results[0].vocabulary == 5


def test_rare_symbols_are_merged():
    x, _ = renewal_sequence(np.random.default_rng(5), 40_000, 1.5, symbols=6)
    x[:200] = np.arange(1000, 1200)
    result = analyse_corpus(x, top=7, largest_context=3)
    assert result.vocabulary == 7


def test_characters_and_bytes(tmp_path):
    (tmp_path / "x.txt").write_text("añb\na", encoding="utf-8")
    tokens, symbols = read_tokens(tmp_path / "x.txt")
    assert [symbols[i] for i in tokens] == ["a", "ñ", "b", "\n", "a"]
    tokens, symbols = read_tokens(tmp_path / "x.txt", "bytes")
    assert [symbols[i] for i in tokens[:3]] == ["0x61", "0xc3", "0xb1"]


def test_report_and_figure():
    x, _ = renewal_sequence(np.random.default_rng(6), 40_000, 1.5)
    result = analyse_corpus(x, largest_context=3)
    json.dumps(result.to_dict(), allow_nan=False)
    text = str(result)
    for name in ("beta", "gamma", "alpha"):
        assert f"{name}" in text
    assert f"intervals: 95% over 16 segments, {result.windows} windows of lags" in text
    assert all(len(line) <= 80 for line in text.splitlines())
    one = str(analyse_corpus(x, window=(1, 20), largest_context=3))
    assert "intervals: 95% over 16 segments" in one.splitlines()
    axes = result.plot()
    assert [ax.get_xscale() for ax in axes] == ["log", "log"]
    axes[0].figure.canvas.draw()
    assert result.plot(axes)[0] is axes[0]


def test_nothing_is_drawn():
    x, _ = renewal_sequence(np.random.default_rng(7), 40_000, 1.5)
    first = analyse_corpus(x, largest_context=3, threads=1)
    assert first == analyse_corpus(x, largest_context=3, threads=3)
    assert first != analyse_corpus(x, largest_context=3, segments=12)


def test_command(tmp_path, capsys):
    x, _ = renewal_sequence(np.random.default_rng(9), 40_000, 1.5)
    (tmp_path / "x.txt").write_text(text_of(x))
    assert main(["corpus", str(tmp_path / "x.txt"), "--plot", str(tmp_path / "f.png")]) == 0
    assert "alpha" in capsys.readouterr().out
    assert (tmp_path / "f.png").stat().st_size > 1000
    assert main(["corpus", str(tmp_path / "x.txt"), "--bytes", "--json", "--window", "1", "20"]) == 0
    assert json.loads(capsys.readouterr().out)["correlation"]["window"][1] <= 20
    (tmp_path / "x.txt").write_text("")
    assert main(["corpus", str(tmp_path / "x.txt")]) == 2
    assert "is empty" in capsys.readouterr().err


def npy(path, array):
    np.save(path, array)
    return path


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda p: p.write_bytes(b""), {}, "x.txt is empty"),
        (lambda p: p.write_text("one line\n"), {}, "too few for two exponents"),
        (lambda p: p.write_bytes(b"\xff\xfe\x00" * 9999), {}, 'not UTF-8 text .*units="bytes"'),
        (lambda p: p.write_text("a" * 5000), {}, "one symbol only"),
        (lambda p: p.write_text("ab" * 5000), {"units": "words"}, "units='words' is unknown"),
        (lambda p: p.write_text("ab" * 5000), {"segments": 2}, "segments=2 is too small"),
        (
            lambda p: p.write_text("ab" * 5000),
            {"segments": 10**9},
            "segments=1000000000 leave 0 of 10000",
        ),
        (lambda p: p.write_text("ab" * 5000), {"largest_lag": 3}, "largest_lag=3 is too small"),
        (lambda p: p.write_text("ab" * 5000), {"units": "tokens"}, r"not a \.npy file"),
    ],
)
def test_bad_files(tmp_path, make, options, message):
    path = tmp_path / "x.txt"
    make(path)
    with pytest.raises(InputError, match=message):
        analyse_corpus(path, **options)


@pytest.mark.parametrize(
    ("array", "options", "message"),
    [
        (np.zeros((9, 9), int), {}, r"shape \(9, 9\): a corpus is one long sequence"),
        (np.linspace(0, 1, 5000), {}, "type float64"),
        (np.arange(5000) - 1, {}, "hold -1"),
        ([[1, 2], [3]], {}, "ragged"),
        (np.arange(5000) % 2, {"window": (900, 1000)}, "0 lags are resolved .*window"),
    ],
)
def test_bad_arrays(array, options, message):
    with pytest.raises(InputError, match=message):
        analyse_corpus(array, **options)


def test_floor_above_the_entropies():
    x, _ = renewal_sequence(np.random.default_rng(6), 40_000, 1.5)
    with pytest.raises(InputError, match=r"floor=9\.0 nats must be"):
        analyse_corpus(x, floor=9.0, largest_context=3)


def test_npy_of_two_axes_and_one_that_ends_early(tmp_path):
    with pytest.raises(InputError, match=r"one long sequence, shape \(N,\)"):
        analyse_corpus(npy(tmp_path / "a.npy", np.zeros((50, 50), int)))
    path = npy(tmp_path / "b.npy", np.arange(16_000) % 7)
    path.write_bytes(path.read_bytes()[:-8000])
    with pytest.raises(InputError, match="ended after 15000 of 16000 tokens"):
        analyse_corpus(path)


def test_more_n_grams_than_can_be_held(monkeypatch):
    x, _ = renewal_sequence(np.random.default_rng(8), 40_000, 1.5)
    monkeypatch.setattr(_ngrams, "_LARGEST_TABLE", 16 * 4**5)
    assert len(analyse_corpus(x).entropies) < 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": (1,)}, r"window=\(1,\) is not a pair: give two lags"),
        ({"window": 5}, "window=5 is not a pair"),
        ({"window": ("a", 5)}, r"window\[0\]='a' is not an integer"),
        ({"confidence": 90}, "confidence=90 is no share"),
    ],
)
def test_windows_and_confidences_that_are_none(options, message):
    with pytest.raises(InputError, match=message):
        analyse_corpus(np.arange(5000) % 7, **options)
