from .shape import Level as Level
from .shape import Shape as Shape
from .tables import UNGRAMMATICAL as UNGRAMMATICAL
from .tables import Tables as Tables
from .trees import Trees as Trees
