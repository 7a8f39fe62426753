"""Expectations over types, with an error bound: adaptive quadrature for few of them, quasi-Monte Carlo for many."""

from mechdsl.expectation.estimate import Estimate, Estimates, Figure, Range, estimates

__all__ = ["Estimate", "Estimates", "Figure", "Range", "estimates"]
