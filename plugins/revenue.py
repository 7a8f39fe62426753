"""Revenue-maximising direct procurement (M1): screen providers by their virtual costs.

The buyer minimises the sum of payments; by the envelope theorem its expectation is that of `vc(c) . y`, so the allocation
minimises virtual cost at every report. Source: Ai, Simchi-Levi & Xu (2025), section 2.2; Myerson (1981).
"""

from __future__ import annotations

from mechdsl.derivation import Derivation
from mechdsl.market import Market
from mechdsl.mechanism import Mechanism
from mechdsl.outcome import Outcome
from mechdsl.program import Program
from mechdsl.structure import Example, Handles, Report, Structure
from mechdsl.theory.conditions import kkt_step, participation_step, truthtelling_step
from mechdsl.theory.change_of_variables import change_of_variables_step, transformed_demand_step
from mechdsl.theory.envelope import envelope_step
from mechdsl.theory.payments import reported
from mechdsl.theory.pointwise import pointwise_program, pointwise_step
from mechdsl.theory.procurement import DIRECT_WORDS, direct_outcome, known_types, misfit
from mechdsl.theory.virtual_cost import virtual_cost_of, virtual_cost_step, virtual_costs

__all__ = ["STRUCTURE"]
