"""The theory, one idea a module: each derives formulas with sympy, states its conditions, and names its source.

A structure takes what it needs from here: `from mechdsl import theory`, then `theory.virtual_cost_step(market)`.
"""

from mechdsl.theory.change_of_variables import change_of_variables_step, transformed_demand_step
from mechdsl.theory.conditions import kkt_step, participation_step, truthtelling_step
from mechdsl.theory.curvature import curvature, is_convex_program
from mechdsl.theory.envelope import cost_payment_step, envelope_step
from mechdsl.theory.payments import envelope_payments
from mechdsl.theory.pointwise import pointwise_program, pointwise_step
from mechdsl.theory.private_cost import private_cost
from mechdsl.theory.procurement import (
    DIRECT_WORDS,
    direct_checks,
    direct_misfit,
    direct_outcome,
    known_types,
    payment_steps,
)
from mechdsl.theory.sampling import direct_sample, sampled_one_by_one
from mechdsl.theory.virtual_cost import reported_types, virtual_cost_of, virtual_cost_step, virtual_costs

__all__ = [
    "DIRECT_WORDS",
    "change_of_variables_step",
    "cost_payment_step",
    "curvature",
    "direct_checks",
    "direct_misfit",
    "direct_outcome",
    "direct_sample",
    "envelope_payments",
    "envelope_step",
    "is_convex_program",
    "kkt_step",
    "known_types",
    "participation_step",
    "payment_steps",
    "pointwise_program",
    "pointwise_step",
    "private_cost",
    "reported_types",
    "sampled_one_by_one",
    "transformed_demand_step",
    "truthtelling_step",
    "virtual_cost_of",
    "virtual_cost_step",
    "virtual_costs",
]
