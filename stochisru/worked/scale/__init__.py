"""Economies of scale against uncertainty: the study ``study scale``."""
