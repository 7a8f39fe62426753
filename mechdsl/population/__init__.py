"""Many reports, many markets: draws of types, grids of params, instances of what the seed draws, and their summaries.

A `Task` is text and numbers, so any process on any machine can do any part of it; a part's numbers depend on its place
in the task alone, never on who computes it or what was computed before.
"""
