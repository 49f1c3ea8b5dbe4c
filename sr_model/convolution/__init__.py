"""Convolutions of the encoders, by an own library on the CPU."""

from .winograd import convolve as convolve
