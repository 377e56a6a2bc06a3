from .correlations import QuadraticForms as QuadraticForms
from .correlations import correlation_function as correlation_function
from .correlations import marginal_moments as marginal_moments
from .correlations import quadratic_forms as quadratic_forms
from .correlations import rms_correlation as rms_correlation
from .correlations import second_moment as second_moment
