"""What follows for a learner: sample complexities, staircases and exponents, in numbers and as formulas."""

import lazy_loader

# the names stand in __init__.pyi, and are loaded on first use: a prediction waits for no compiler
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
