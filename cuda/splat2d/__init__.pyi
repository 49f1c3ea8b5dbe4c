from .field import GaussianField as GaussianField
from .rendering import DEFAULT_CUTOFF as DEFAULT_CUTOFF
from .rendering import backend as backend
from .rendering import render as render
from .resample import imresize as imresize

__version__: str
