"""How a `Program` is solved: formulas lowered to indexed templates, Ipopt, refinement, residuals, Pyomo."""
