"""What takes the networks most of their time on a CPU, in C++ where it applies and else with torch."""

from .blending import blended as blended
from .convolution import convolve as convolve
