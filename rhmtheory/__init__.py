"""rhmtheory: how much data a network needs to learn a hierarchical language.

Exact statistics, predictions and measurements for the Random Hierarchy Model.

>>> import rhmtheory as rt
>>> rhm = rt.RHM(v=32, m=8, s=2, L=4)  # the ensemble
>>> round(rt.predict(rhm, "transformer").exponent, 6)
0.333333
>>> len(str(rt.predictions(v=[16, 32], m=[4, 8], s=2, L=4)).splitlines()) > 8
True
>>> g = rhm.grammar(seed=0)  # one draw of it
>>> g.plateaus().shape, g.covariance(0, 15).shape
((5,), (32, 32))
>>> trees = g.sample_trees(100)
>>> tokens = trees.tokens
>>> tokens.shape, trees.level(2).shape, str(trees[0]).count("→")
((100, 16), (100, 4), 8)
>>> bool((g.log_likelihood(tokens) < 0).all())
True
>>> g.posterior(tokens).shape  # of the last token
(100, 32)
>>> hidden = [False] * 8 + [True] * 8
>>> g.posteriors(tokens, level=2, mask=hidden).shape
(100, 4, 32)
"""

import lazy_loader

# the names stand in __init__.pyi, and are loaded on first use: a prediction waits for no compiler
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"
