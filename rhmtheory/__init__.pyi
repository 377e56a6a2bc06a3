from . import comparison as comparison
from . import corpus as corpus
from . import ensemble as ensemble
from . import exact as exact
from . import fitting as fitting
from . import formulas as formulas
from . import language as language
from . import learner as learner
from . import plotting as plotting
from . import theory as theory
from . import tree as tree
from .comparison.entry import compare_curve as compare_curve
from .corpus.decays import analyse_corpus as analyse_corpus
from .corpus.pairs import count_pairs as count_pairs
from .exact.entropy import EntropyEstimate as EntropyEstimate
from .language.grammar import UNGRAMMATICAL as UNGRAMMATICAL
from .language.grammar import Grammar as Grammar
from .language.rhm import RHM as RHM
from .language.rhm import zipf as zipf
from .learner.clustering import learn as learn
from .learner.thresholds import measure_sample_complexity as measure_sample_complexity
from .support.checks import InputError as InputError
from .theory import symbolic as symbolic
from .theory.laws import ARCHITECTURES as ARCHITECTURES
from .theory.predictions import Prediction as Prediction
from .theory.predictions import predict as predict

__version__: str
