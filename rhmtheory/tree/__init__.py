"""What a derivation is: the shape of the tree, tables of rules, sampled trees and interventions on them."""

import lazy_loader

# the names stand in __init__.pyi, and are loaded on first use: a prediction waits for no compiler
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
