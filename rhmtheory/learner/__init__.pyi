from .clustering import ClusterModel as ClusterModel
from .clustering import LevelScore as LevelScore
from .clustering import learn as learn
from .thresholds import Task as Task
from .thresholds import ThresholdStudy as ThresholdStudy
from .thresholds import measure_sample_complexity as measure_sample_complexity
