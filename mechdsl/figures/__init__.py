"""Findings as figures to publish: heat maps, boxes, lines and bars, in the model's own words.

Drawn on matplotlib's own figure objects, never through its global state; a chart knows nothing of files.
"""

from mechdsl.figures.drawing import FORMATS, draw, encoded, save
from mechdsl.figures.labels import Labels, labels

__all__ = ["FORMATS", "Labels", "draw", "encoded", "labels", "save"]
