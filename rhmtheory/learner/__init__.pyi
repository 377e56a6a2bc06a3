from .clustering import ClusterModel as ClusterModel
from .clustering import LevelScore as LevelScore
from .clustering import learn as learn
from .search import ThresholdStudy as ThresholdStudy
from .search import thresholds as thresholds
