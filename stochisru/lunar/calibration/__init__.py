"""Demand of a case from a series: processes estimated, tested and carried into values."""

from stochisru.lunar.calibration.bands import Band, Bands, bands
from stochisru.lunar.calibration.fitted import Calibration, calibrate
from stochisru.lunar.calibration.series import ObservedSeries, read_series

__all__ = ["Band", "Bands", "Calibration", "ObservedSeries", "bands", "calibrate", "read_series"]
