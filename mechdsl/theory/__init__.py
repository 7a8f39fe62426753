"""The theory, one idea a module: each derives formulas with sympy, states its conditions, and names its source."""
