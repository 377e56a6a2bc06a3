from .factories import attention as attention
from .factories import cnn as cnn
from .factories import decoder as decoder
from .factories import fcn as fcn
from .factories import lcn as lcn
from .registry import NETWORKS as NETWORKS
from .registry import NetworkRecord as NetworkRecord
from .spec import NetworkSpec as NetworkSpec
