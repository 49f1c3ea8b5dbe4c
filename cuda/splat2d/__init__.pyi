from .field import GaussianField as GaussianField
from .matlab_imresize import imresize as imresize
from .rendering import DEFAULT_CUTOFF as DEFAULT_CUTOFF
from .rendering import backend as backend
from .rendering import render as render

__version__: str
