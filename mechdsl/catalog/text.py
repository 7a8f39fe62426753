"""M00x: what keeps a text from being read at all. All of it is found before anything is understood."""

from __future__ import annotations

from mechdsl.catalog.explanation import Explanation

__all__ = ["TEXT"]

TEXT = (
    Explanation(
        "M001",
        "the file cannot be read as a text",
        "There is no such file, it is a folder or a device, you may not read it, or what it holds is not text in "
        "UTF-8: a document of a word processor, an archive, or a text saved in another encoding.",
        "Check the path and its permissions. Save the text as UTF-8; every editor can.",
    ),
    Explanation(
        "M002",
        "a limit of the language is exceeded",
        "So that no text can make the reader hang or run out of memory, its size is bounded: 500,000 characters "
        "and 40,000 words, numbers and signs in all; 60 digits in a number, which is 0 or lies between 1e-300 and "
        "1e300 in size; 100 characters in a name and 2,000 in a string; brackets 50 deep, and operators 150 deep, "
        "as in a sum written out with as many terms.",
        "Keep large tables in a csv file beside the market. Write long sums as sum(i: ...), and name the parts of "
        "a long expression by let.",
        bad="param d = 1e999",
        good="param d in [0, inf] = 1e30",
    ),
    Explanation(
        "M003",
        "a character that has no meaning",
        "The text holds a character that the language does not use, outside of strings and comments; or one that "
        "is not welcome even there, because it is invisible and could make a reader see another text than the "
        "program does. Often it came with text copied from a paper: a typographic minus, curly quotes, a product "
        "sign. A name is made of letters, digits and '_', in one alphabet (Greek and Latin may be mixed), and "
        "does not start with a digit.",
        "Type the sign that the message names. In formulas: * for products, / for quotients, ^ for powers, >= and "
        "<= for weak inequalities, inf for infinity.",
        bad="let y = x² × 3",
        good="let y = x^2 * 3",
    ),
    Explanation(
        "M004",
        "something is missing or out of order in a statement",
        "Up to the place that is shown the statement could be read; what comes next cannot follow there. The "
        "message lists what could: an operator, a comma, the next statement. Common slips: a product without its "
        "sign, '=' where a comparison '==' is meant, a comparison that chains (a < b < c) in an expression, an "
        "entry written d.video where only the command line, set and vary use the full stop.",
        "Compare the statement with the example in the message, and complete it.",
        bad="param tax = 0.1\nlet share = 1 - 2 tax",
        good="param tax = 0.1\nlet share = 1 - 2 * tax",
    ),
    Explanation(
        "M005",
        "a bracket is never closed",
        "A bracket was opened, and the text goes on with something that cannot stand inside it, or ends. What is "
        "shown is the bracket, or where its end is missed if that is in a later line. Brackets are (), [] and {}; "
        "only an interval such as [0, inf) may open with one kind and close with another.",
        "Add the closing bracket before the place that the message names. 'mechdsl fmt' shows the nesting by its "
        "layout once the text reads.",
        bad="let total = sum(k: x[k]\nlet double = 2 * total",
        good="let total = sum(k: x[k])\nlet double = 2 * total",
    ),
    Explanation(
        "M006",
        "a closing bracket closes nothing",
        "There is one closing bracket too many, or it is of another kind than the bracket that is open.",
        "Delete it, or add the opening bracket that it belongs to.",
        bad="let total = sum(k: x[k]))",
        good="let total = sum(k: x[k])",
    ),
    Explanation(
        "M007",
        "a word that is no keyword",
        "Every statement starts with its keyword (param, layer, demand, ...), in small letters, and a few "
        "keywords stand inside statements (in, on, where, by, maximize). The word that is shown stands where only "
        "a keyword can, and is none.",
        "Correct its spelling; the message lists the keywords that could stand there.",
        bad="pram d = 3",
        good="param d = 3",
    ),
    Explanation(
        "M008",
        "a string is not closed on its line",
        "A string stands between two double quotes on one line. There is no way to write a double quote inside it.",
        'Add the closing " where the string ends. Inside a string, quote with single quotes.',
        bad='market m "a market',
        good='market m "a market"',
    ),
    Explanation(
        "M009",
        "a statement in the wrong place",
        "The statement is one of the language, but not here. In the body of a layer stand type, choose, cost, "
        "value, signal, represents, bargaining and outside; in that of an experiment draws, seed, instances, "
        "regimes, vary, table and plot; in that of a regime set, and most of what stands at the top of the file, "
        "but not market, regime, claim and experiment.",
        "Move it where it belongs. If it seems to stand there, a brace before it is missing or too many.",
        bad="choose x >= 0",
        good="layer creator {\n  choose x >= 0\n}",
    ),
)
