"""Cuts in which the factor is a state as a policy: the year's program at the growth that is seen."""

from __future__ import annotations
