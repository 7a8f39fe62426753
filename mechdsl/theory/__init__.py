"""The theory, one idea a module: each derives formulas with sympy, states its conditions, and names its source.

A structure takes what it needs from here: `from mechdsl import theory`, then `theory.virtual_cost_step(market)`.
"""

from mechdsl.theory.change_of_variables import change_of_variables_step, transformed_demand_step
from mechdsl.theory.conditions import kkt_step, participation_step, truthtelling_step
from mechdsl.theory.contest import CONTEST_WORDS, contest_game, contest_misfit, contest_parameters
from mechdsl.theory.contest_claims import CONTEST_CLAIMS
from mechdsl.theory.contest_outcome import contest_checks, contest_outcome
from mechdsl.theory.contest_steps import contest_derivation
from mechdsl.theory.curvature import curvature, is_convex_program
from mechdsl.theory.data_claims import POSTED_PRICE_CLAIMS
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
from mechdsl.theory.expectations import (
    direct_expected,
    menu_expected,
    presigned_expected,
    sampled_expected,
    union_expected,
)
from mechdsl.theory.intermediary import (
    chain_of,
    intermediary_misfit,
    linear_outcome,
    linear_steps,
    surplus_step,
    tariff_outcome,
    tariff_steps,
)
from mechdsl.theory.moving_payments import OutcomeRates, direct_rates
from mechdsl.theory.payments import envelope_payments
from mechdsl.theory.plainly import known, marginal, optimum_of
from mechdsl.theory.pointwise import pointwise_program, pointwise_step
from mechdsl.theory.precision import informed, precision_steps
from mechdsl.theory.presigned import PRESIGNED_WORDS, parties, presigned_misfit, presigned_parameters, presigned_program
from mechdsl.theory.presigned_books import presigned_checks, presigned_outcome, presigned_sample
from mechdsl.theory.presigned_steps import presigned_steps
from mechdsl.theory.private_cost import private_cost, total
from mechdsl.theory.procurement import (
    DIRECT_WORDS,
    direct_checks,
    direct_misfit,
    direct_outcome,
    known_types,
    payment_steps,
)
from mechdsl.theory.sampling import batch_of, direct_sample, sampled_one_by_one
from mechdsl.theory.sensitivity import Directions
from mechdsl.theory.supply import best_response_step, supply
from mechdsl.theory.tariff_claims import LINEAR_PRICE_CLAIMS, TARIFF_CLAIMS
from mechdsl.theory.union import (
    union_checks,
    union_misfit,
    union_outcome,
    union_participation_step,
    union_payment_steps,
    union_truthtelling_step,
)
from mechdsl.theory.union_menu import best_offer, menu_program, union_menu_misfit
from mechdsl.theory.union_offer import menu_checks, menu_outcome, menu_sample
from mechdsl.theory.union_steps import union_menu_steps
from mechdsl.theory.virtual_cost import reported_types, virtual_cost_of, virtual_cost_step, virtual_costs

__all__ = [
    "CONTEST_CLAIMS",
    "CONTEST_WORDS",
    "DIRECT_WORDS",
    "LINEAR_PRICE_CLAIMS",
    "POSTED_PRICE_CLAIMS",
    "PRESIGNED_WORDS",
    "TARIFF_CLAIMS",
    "Directions",
    "OutcomeRates",
    "bargaining_check",
    "batch_of",
    "best_offer",
    "best_response_step",
    "budget_check",
    "chain_of",
    "change_of_variables_step",
    "contest_checks",
    "contest_derivation",
    "contest_game",
    "contest_misfit",
    "contest_outcome",
    "contest_parameters",
    "cost_payment_step",
    "curvature",
    "demand_check",
    "direct_checks",
    "direct_expected",
    "direct_misfit",
    "direct_outcome",
    "direct_rates",
    "direct_sample",
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
    "known",
    "known_types",
    "leader_check",
    "leader_objective",
    "linear_outcome",
    "linear_steps",
    "marginal",
    "menu_checks",
    "menu_expected",
    "menu_outcome",
    "menu_program",
    "menu_sample",
    "optimum_of",
    "participation_step",
    "parties",
    "payment_steps",
    "planner_misfit",
    "planner_objective",
    "pointwise_program",
    "pointwise_step",
    "posted_misfit",
    "precision_check",
    "precision_steps",
    "presigned_checks",
    "presigned_expected",
    "presigned_misfit",
    "presigned_outcome",
    "presigned_parameters",
    "presigned_program",
    "presigned_sample",
    "presigned_steps",
    "private_cost",
    "reported_types",
    "response_check",
    "sampled_expected",
    "sampled_one_by_one",
    "solved_at",
    "supply",
    "surplus_step",
    "tariff_outcome",
    "tariff_steps",
    "total",
    "transformed_demand_step",
    "truthtelling_step",
    "union_checks",
    "union_expected",
    "union_menu_misfit",
    "union_menu_steps",
    "union_misfit",
    "union_outcome",
    "union_participation_step",
    "union_payment_steps",
    "union_truthtelling_step",
    "unsolved",
    "virtual_cost_of",
    "virtual_cost_step",
    "virtual_costs",
]
