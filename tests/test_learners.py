"""Learning curves of predictors that are no networks."""

import numpy as np
import pytest

import rhmtheory as rt

RHM_ = rt.RHM(v=4, m=2, s=2, L=2)


def ngram(length, symbols=4, prior=0.1):
    """Counts of what follows the last tokens."""

    def fit(inputs, targets):
        def key(inputs):
            return inputs[:, inputs.shape[1] - length :] @ symbols ** np.arange(length)

        counts = np.full((symbols**length, symbols), prior)
        np.add.at(counts, (key(inputs), targets), 1)
        return lambda inputs: (counts / counts.sum(axis=1, keepdims=True))[key(inputs)]

    return fit


@pytest.mark.parametrize(("length", "level"), [(0, 0), (1, 1), (3, 2)])
def test_ngrams_come_down_to_the_plateau_of_their_context(length, level):
    grammar = RHM_.grammar(seed=1)
    found = rt.learning_curve(ngram(length), grammar, [8, 100, 30_000], test_size=20_000, label="n-gram")
    H = grammar.plateaus()[level]
    assert abs(found.loss[-1] - H) < 4 * found.loss_error[-1] + 0.01
    assert found.loss[0] > found.loss[-1] - 0.02
    assert "n-gram on RHM(v=4, m=2, s=2, L=2), target last" in str(found)
    found.plot()


def test_a_look_up_of_whole_sentences_learns_the_class():
    grammar = RHM_.grammar(seed=1)
    found = rt.learning_curve(ngram(4), grammar, [10, 10_000], target="class")
    assert found.error[0] > 0.2
    assert found.error[-1] == 0
    assert found.loss[-1] < 0.05
    short = rt.learning_curve(ngram(2), grammar, 20_000, target="class", test_size=20_000)
    assert abs(short.loss[0] - grammar.class_plateaus()[1]) < 4 * short.loss_error[0] + 0.01
    with pytest.raises(rt.InputError, match="target='class'"):
        short.compare()


def test_objects_as_those_of_scikit_learn_are_predictors():
    class Frequencies:
        def fit(self, inputs, targets):
            self.classes_, counts = np.unique(targets, return_counts=True)
            self.share = counts / len(targets)
            return self

        def predict_proba(self, inputs):
            return np.tile(self.share, (len(inputs), 1))

    grammar = RHM_.grammar(seed=0)
    found = rt.learning_curve(Frequencies().fit, grammar, [1, 20_000], smoothing=0.01)
    assert found.loss[0] > 1.5
    assert abs(found.loss[1] - grammar.plateaus()[0]) < 0.03


def test_small_sets_are_beginnings_of_larger_ones():
    seen = []

    def fit(inputs, targets):
        seen.append((inputs, targets))
        return lambda inputs: np.full((len(inputs), 4), 0.25)

    grammar = RHM_.grammar(seed=0)
    found = rt.learning_curve(fit, grammar, [5, 20], test_size=10)
    assert (seen[0][0] == seen[1][0][:5]).all()
    assert (seen[0][1] == seen[1][1][:5]).all()
    np.testing.assert_allclose(found.loss, np.log(4))
    assert found == rt.learning_curve(fit, grammar, [5, 20], test_size=10)


def test_a_curve_is_held_against_the_laws():
    grammar = rt.RHM(v=8, m=2, s=2, L=2).grammar(seed=0)
    found = rt.learning_curve(
        ngram(3, symbols=8, prior=1e-2), grammar, np.unique(np.geomspace(4, 1e4, 24).astype(int))
    )
    assert "learner" in str(found.compare())


@pytest.mark.parametrize(
    ("fit", "P", "options", "message"),
    [
        (ngram(1), [10, 5], {}, "does not increase"),
        (ngram(1), [], {}, "does not increase"),
        (ngram(1), 10, {"target": "all"}, "target='all'"),
        (ngram(1), 10, {"smoothing": 1}, "smoothing=1"),
        (lambda x, y: lambda x: np.ones((3, 4)), 10, {}, "gives shape"),
        (lambda x, y: lambda x: np.ones((len(x), 4)), 10, {}, "no probabilities"),
        (lambda x, y: lambda x: np.full((len(x), 4), np.nan), 10, {}, "no probabilities"),
    ],
)
def test_what_is_no_learner_is_refused(fit, P, options, message):
    with pytest.raises(rt.InputError, match=message):
        rt.learning_curve(fit, RHM_.grammar(seed=0), P, **options)
