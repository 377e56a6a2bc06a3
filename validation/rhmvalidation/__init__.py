"""rhmvalidation: networks trained on the Random Hierarchy Model, set against the theory.

>>> import rhmtheory as rt
>>> import rhmvalidation as rv
>>> rhm = rt.RHM(v=6, m=2, s=2, L=2)
>>> g = rhm.grammar(seed=0)
>>> found = rv.train(rv.cnn(rhm, width=64), g, P=2560)  # recommended settings from the registry
>>> bool(found.loss[-1] < found.loss[0])
True
>>> found.compare().curves.label
'cnn'
>>> len(found.plot().lines) > 0
True
>>> rv.evaluate(found.network, g, sentences=200).plot() is not None
True
"""

import lazy_loader

# the names stand in __init__.pyi, and are loaded on first use: torch too
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
