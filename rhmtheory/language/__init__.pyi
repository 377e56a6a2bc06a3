from .grammar import Grammar as Grammar
from .quenched import QuenchedAverage as QuenchedAverage
from .quenched import quenched_correlations as quenched_correlations
from .quenched import quenched_grammar as quenched_grammar
from .quenched import quenched_plateaus as quenched_plateaus
from .rhm import RHM as RHM
