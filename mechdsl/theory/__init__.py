"""The theory, one idea a module: each derives formulas with sympy, states its conditions, and names its source.

A structure takes what it needs from here: `from mechdsl import theory`, then `theory.virtual_cost_step(market)`.
"""

from mechdsl.theory.change_of_variables import change_of_variables_step, transformed_demand_step
from mechdsl.theory.conditions import kkt_step, participation_step, truthtelling_step
from mechdsl.theory.curvature import curvature, is_convex_program
from mechdsl.theory.envelope import cost_payment_step, envelope_step
from mechdsl.theory.payments import envelope_payments
from mechdsl.theory.pointwise import pointwise_program, pointwise_step
from mechdsl.theory.presigned import PRESIGNED_WORDS, parties, presigned_misfit, presigned_parameters, presigned_program
from mechdsl.theory.presigned_books import presigned_checks, presigned_outcome, presigned_sample
from mechdsl.theory.presigned_steps import presigned_steps
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
from mechdsl.theory.union import (
    union_checks,
    union_misfit,
    union_outcome,
    union_participation_step,
    union_payment_step,
    union_truthtelling_step,
)
from mechdsl.theory.union_menu import best_offer, menu_program, union_menu_misfit
from mechdsl.theory.union_offer import menu_checks, menu_outcome
from mechdsl.theory.union_steps import union_menu_steps
from mechdsl.theory.virtual_cost import reported_types, virtual_cost_of, virtual_cost_step, virtual_costs

__all__ = [
    "DIRECT_WORDS",
    "PRESIGNED_WORDS",
    "best_offer",
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
    "menu_checks",
    "menu_outcome",
    "menu_program",
    "participation_step",
    "parties",
    "payment_steps",
    "pointwise_program",
    "pointwise_step",
    "presigned_checks",
    "presigned_misfit",
    "presigned_outcome",
    "presigned_parameters",
    "presigned_program",
    "presigned_sample",
    "presigned_steps",
    "private_cost",
    "reported_types",
    "sampled_one_by_one",
    "transformed_demand_step",
    "truthtelling_step",
    "union_checks",
    "union_menu_misfit",
    "union_menu_steps",
    "union_misfit",
    "union_outcome",
    "union_participation_step",
    "union_payment_step",
    "union_truthtelling_step",
    "virtual_cost_of",
    "virtual_cost_step",
    "virtual_costs",
]
