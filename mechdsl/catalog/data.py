"""M03x: values of params and reports that are missing, too many, of the wrong shape, out of range, or not known."""

from __future__ import annotations

from mechdsl.catalog.explanation import Explanation

__all__ = ["DATA"]

DATA = (
    Explanation(
        "M030",
        "an entry without a value",
        "A map gives values by label and must name every label of the index set: nothing is taken to be zero, or the "
        "same as before, silently. The same holds for distributions, and for reports.",
        "Add the entries that the message names. One number without a map is the value of all entries.",
        bad="param price[k] = {video: 3}",
        good="param price[k] = {video: 3, text: 3}",
    ),
    Explanation(
        "M031",
        "a value for a label that does not exist",
        "The map names a label that the index set does not have. It is misspelt, or it belongs to another index: in a "
        "map of maps the outer labels are those of the first index.",
        "Correct the label, remove the entry, or add the label where the index set is declared.",
        bad="param price[k] = {video: 3, texts: 4}",
        good="param price[k] = {video: 3, text: 4}",
    ),
    Explanation(
        "M032",
        "a value of the wrong shape",
        "A list has one value for each label, in the order of the index set, and is nested as deep as there are "
        "indices; a name without an index takes one number. An index set 1..N runs over whole numbers, in steps of "
        "one, and has at least one label.",
        "Count the values, or write a map, which says what belongs to what. To give one number to all entries, write "
        "the number alone.",
        bad="param price[k] = [3, 4, 5]",
        good="param price[k] = [3, 4]",
    ),
    Explanation(
        "M033",
        "a value that is no finite number",
        "The value is infinite, or there is none: a division by zero, the logarithm of zero, the root of a negative "
        "number, a number too large to compute with. Where a formula gives the value, its params may have the values "
        "that break it in one entry alone; the message names the first.",
        "Correct the formula, or the values it rests on. A param in a cost or a demand is always finite; what has no "
        "upper bound is left without one, as in `choose x >= 0`.",
        bad="param price = 1 / (d[video] - 3)",
        good="param price = 1 / (d[video] - 2)",
    ),
    Explanation(
        "M034",
        "a value outside its declared range",
        "The `in` of a declaration is a promise, and every value is held to it: those in the file, drawn ones, those "
        "that `set` gives in a regime, and those of the command line. Proofs of curvature rest on it, so a value "
        "outside is refused and not clipped. A round bracket leaves its end out. The same code says that a range is "
        "empty, or that the bounds of a decision leave it no value.",
        "Correct the value. If it is meant, widen the range in the declaration; what rested on the range is then shown "
        "anew, or no longer holds.",
        bad="param rho in [1, inf) = 0.9",
        good="param rho in [1, inf) = 1.1",
    ),
    Explanation(
        "M035",
        "a formula where known data are needed",
        "Params, ranges, bounds, conditions (`where`) and the arguments of distributions are settled before anybody "
        "decides or reports, so they are made of numbers, params, and lets that are made of these. A decision, a "
        "private type, a state or a random factor is not known then. Strings, maps and lists are values of params; in "
        "the middle of a formula they say nothing.",
        "Name what is meant as a let, which may use everything. Of a type its mean, lower and upper end are known: "
        "mean(c[k]). A bound that moves with a decision is a constraint.",
        bad="param spending[k] = c[k] * d[k]",
        good="param spending[k] = mean(c[k]) * d[k]",
    ),
    Explanation(
        "M037",
        "a report that leaves types out",
        "A report says what every type is. With some types missing the outcome would rest on guesses: the means are "
        "taken only where nothing is reported at all, and that is said.",
        "Report every type, in the file or by --at, or none of them.",
        bad="layer platform { type quality ~ uniform(0, 1) }",
        good="layer platform { type quality ~ uniform(0, 1) }\nreport quality = 0.5",
    ),
    Explanation(
        "M038",
        "a report that cannot occur",
        "The reported type lies outside the support of its distribution. The mechanism is not defined there: no "
        "creator has such a cost. The ends of the support are inside.",
        "Report a value within the support that the message shows, or widen the support.",
        bad="report c = {video: 0.3, text: 1.6}",
        good="report c = {video: 0.3, text: 0.6}",
    ),
    Explanation(
        "M039",
        "a label that stands twice",
        "The same label is listed twice in an index set, or given two values in one map. Which of the two counts "
        "cannot be told.",
        "Remove one of them.",
        bad="param price[k] = {video: 3, text: 4, video: 5}",
        good="param price[k] = {video: 5, text: 4}",
    ),
)
