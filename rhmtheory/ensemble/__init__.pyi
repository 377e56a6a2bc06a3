from .correlations import PowerSums as PowerSums
from .correlations import QuadraticForms as QuadraticForms
from .correlations import marginal_moments as marginal_moments
from .correlations import quadratic_forms as quadratic_forms
from .correlations import second_moment as second_moment
from .noise import NoiseTransition as NoiseTransition
