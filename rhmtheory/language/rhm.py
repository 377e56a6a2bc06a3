"""The Random Hierarchy Model: an ensemble of random grammars, and all that is known of it in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rhmtheory.ensemble import correlations, exponents, noise
from rhmtheory.ensemble import plateaus as chain
from rhmtheory.ensemble.parameters import Ensemble

if TYPE_CHECKING:
    from rhmtheory.language import Grammar


class RHM(Ensemble):
    """The Random Hierarchy Model: an ensemble of random, unambiguous context-free grammars.

    Levels are counted from the leaves: level 0 holds the ``d`` tokens, level ``L`` the root. Each symbol of
    level ``l >= 1`` has ``m`` equally likely production rules, each an ``s``-tuple of level ``l - 1``
    symbols; the rules of a level are drawn without replacement from all ``v**s`` tuples, so that a tuple has
    at most one parent. Source: arXiv:2307.02129, section 2.

    Parameters
    ----------
    v : int or sequence of L ints
        Symbols per level; as a sequence ``v_0 .. v_(L-1)``, from the leaves up.
    m : int or sequence of L ints
        Production rules per symbol; as a sequence ``m_1 .. m_L``.
    s : int or sequence of L ints
        Children per rule; as a sequence ``s_1 .. s_L``.
    L : int
        Number of levels of rules.
    n : int, optional
        Number of root symbols (classes); by default that of the level below the root.
    rule_probabilities : sequence of m floats, or L such sequences, optional
        Probability of the r-th rule of every symbol (one sequence per level, from level 1 up, where they
        differ); uniform by default.
    zipf : float, optional
        Exponent of Zipf-distributed rule probabilities, see `zipf`; in place of ``rule_probabilities``.

    Raises
    ------
    InputError
        For non-integers, ``v < 2``, ``m < 1``, ``s < 2``, ``L < 1``, ``n < 1``, sequences of a wrong length,
        probabilities that are negative or do not sum to one, a level that needs more tuples than exist
        (``m > v**(s-1)`` when all levels are alike), and for ``v**s`` or ``d = s**L`` above 2**1000.

    Examples
    --------
    >>> rhm = RHM(v=16, m=4, s=2, L=4)
    >>> rhm.d, rhm.f
    (16, 0.25)
    >>> RHM(v=16, m=2, s=2, L=4, zipf=1.0)
    RHM(v=16, m=2, s=2, L=4, rule_probabilities=(0.8, 0.2))
    """

    rms_correlation = correlations.rms_correlation
    noise_flow = noise.noise_flow
    noise_transition = noise.noise_transition
    correlation_function = correlations.correlation_function
    plateaus = chain.plateaus
    beta = property(exponents.beta)
    gamma = property(exponents.gamma)
    range = exponents.range_

    def grammar(self, seed: int | np.random.Generator = 0) -> Grammar:
        """Draw a grammar: rules uniformly without replacement from all tuples, level by level from the root.

        The tuples are never listed: memory is proportional to the number of rules, whatever ``v**s``.

        Parameters
        ----------
        seed : int or numpy.random.Generator
            The same seed gives the same grammar.

        Raises
        ------
        InputError
            If ``v**s`` does not fit in 63 bits, so that tuples cannot be numbered.
        """
        from rhmtheory.language import Grammar

        return Grammar._drawn(self, seed)
