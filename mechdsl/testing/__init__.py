"""The conformance kit: what every market structure must pass, the built-in ones included.

Each example of a structure is solved, and then asked what no derivation can answer for itself: are the numbers stated
elsewhere met, does any feasible decision do better, does any provider gain by lying, do the books balance, does money
scale, do labels matter, do the formulas and the exported Pyomo model say the same. A failure says what was checked, on
which market, what was found, and what to do. Distributions and functions have kits of their own.
"""

from mechdsl.distributions.conformance import check_family
from mechdsl.testing.checks import slack_of
from mechdsl.testing.functions import check_function
from mechdsl.testing.kit import Failure, NonconformingError, check_structure, failures

__all__ = ["Failure", "NonconformingError", "check_family", "check_function", "check_structure", "failures", "slack_of"]
