"""The theory, one idea a module: each derives formulas with sympy, states its conditions, and names its source.

A structure takes what it needs from here: `from mechdsl import theory`, then `theory.virtual_cost_step(market)`.
"""

from mechdsl.theory.change_of_variables import change_of_variables_step, transformed_demand_step
from mechdsl.theory.conditions import kkt_step, participation_step, truthtelling_step
from mechdsl.theory.curvature import curvature, is_convex_program
from mechdsl.theory.effort_checks import (
    bargaining_check,
    budget_check,
    demand_check,
    everyone_participates,
    leader_check,
    precision_check,
    response_check,
)
from mechdsl.theory.efforts import (
    effort_outcome,
    effort_program,
    effort_step,
    free_objective,
    leader_objective,
    planner_misfit,
    planner_objective,
    posted_misfit,
    solved_at,
    unsolved,
)
from mechdsl.theory.envelope import cost_payment_step, envelope_step
from mechdsl.theory.intermediary import (
    chain_of,
    intermediary_misfit,
    linear_outcome,
    linear_steps,
    surplus_step,
    tariff_outcome,
    tariff_steps,
)
from mechdsl.theory.payments import envelope_payments
from mechdsl.theory.pointwise import pointwise_program, pointwise_step
from mechdsl.theory.precision import informed, precision_steps
from mechdsl.theory.private_cost import private_cost
from mechdsl.theory.procurement import (
    DIRECT_WORDS,
    direct_checks,
    direct_misfit,
    direct_outcome,
    known_types,
    payment_steps,
)
from mechdsl.theory.supply import best_response_step, supply
from mechdsl.theory.virtual_cost import reported_types, virtual_cost_of, virtual_cost_step, virtual_costs

__all__ = [
    "DIRECT_WORDS",
    "bargaining_check",
    "best_response_step",
    "budget_check",
    "chain_of",
    "change_of_variables_step",
    "cost_payment_step",
    "curvature",
    "demand_check",
    "direct_checks",
    "direct_misfit",
    "direct_outcome",
    "effort_outcome",
    "effort_program",
    "effort_step",
    "envelope_payments",
    "envelope_step",
    "everyone_participates",
    "free_objective",
    "informed",
    "intermediary_misfit",
    "is_convex_program",
    "kkt_step",
    "known_types",
    "leader_check",
    "leader_objective",
    "linear_outcome",
    "linear_steps",
    "participation_step",
    "payment_steps",
    "planner_misfit",
    "planner_objective",
    "pointwise_program",
    "pointwise_step",
    "posted_misfit",
    "precision_check",
    "precision_steps",
    "private_cost",
    "reported_types",
    "response_check",
    "solved_at",
    "supply",
    "surplus_step",
    "tariff_outcome",
    "tariff_steps",
    "transformed_demand_step",
    "truthtelling_step",
    "unsolved",
    "virtual_cost_of",
    "virtual_cost_step",
    "virtual_costs",
]
