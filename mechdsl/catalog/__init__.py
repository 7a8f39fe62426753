"""What every code of a message means, at length: `mechdsl explain CODE`.

A code is stable: it is never reused, and its number says which part of a market it is about (`RANGES`). A message
names what is wrong in one text; what stands here explains the kind of mistake, with a text that has it and one that
has not, and both are tested. A new code needs its entry here before a stage may use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mechdsl.catalog.data import DATA
from mechdsl.catalog.diagnosis import DIAGNOSIS
from mechdsl.catalog.explanation import RANGES, SETTING, Explanation
from mechdsl.catalog.files import FILES
from mechdsl.catalog.form import FORM
from mechdsl.catalog.indices import INDICES
from mechdsl.catalog.limits import LIMITS
from mechdsl.catalog.names import NAMES
from mechdsl.catalog.structures import STRUCTURES
from mechdsl.catalog.text import TEXT
from mechdsl.catalog.types import TYPES

__all__ = ["EXPLANATIONS", "RANGES", "SETTING", "Explanation"]

EXPLANATIONS: Mapping[str, Explanation] = MappingProxyType(
    {
        explanation.code: explanation
        for part in (TEXT, NAMES, INDICES, DATA, TYPES, FORM, STRUCTURES, FILES, LIMITS, DIAGNOSIS)
        for explanation in part
    }
)
"""Every code that a message of mechdsl can carry."""
