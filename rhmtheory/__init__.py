"""rhmtheory: how much data a network needs to learn a hierarchical language.

Exact statistics, predictions and measurements for the Random Hierarchy Model.

>>> import rhmtheory as rt
>>> rhm = rt.RHM(v=32, m=8, s=2, L=4)
"""

import lazy_loader

# the names stand in __init__.pyi, and are loaded on first use: a prediction waits for no compiler
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"
