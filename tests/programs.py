"""Random texts of the language, for property tests: lists of words that parse, and ways of writing them down."""

from __future__ import annotations

from itertools import chain

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Words = list[str]

# Keywords are names wherever a name can stand.
NAMES = ["x", "rho", "ρ", "Δ_1", "gamma", "video", "inf", "cost", "value", "param", "in", "on", "by", "sum", "é", "_y2"]
NUMBERS = ["0", "1", "20", "0.5", ".25", "3.", "1e-3", "2.5E+2"]
STRINGS = ['"doc"', '""', '"a # b { ("', '"Größe, ρ"']

name = st.sampled_from(NAMES)
number = st.sampled_from(NUMBERS)
string = st.sampled_from(STRINGS)


def words(*parts: SearchStrategy[Words] | SearchStrategy[str] | str) -> SearchStrategy[Words]:
    """The parts one after the other."""

    def joined(drawn: tuple[Words | str, ...]) -> Words:
        return [word for part in drawn for word in ([part] if isinstance(part, str) else part)]

    return st.tuples(*(st.just(part) if isinstance(part, str) else part for part in parts)).map(joined)


def maybe(part: SearchStrategy[Words] | SearchStrategy[str]) -> SearchStrategy[Words]:
    return st.one_of(st.just([]), words(part))


def listed(part: SearchStrategy[Words] | SearchStrategy[str], most: int = 3) -> SearchStrategy[Words]:
    """Some, with commas between."""
    some = st.lists(words(part), min_size=1, max_size=most)
    return some.map(lambda drawn: [w for at, item in enumerate(drawn) for w in ([","] if at else []) + item])


def several(part: SearchStrategy[Words], most: int) -> SearchStrategy[Words]:
    """None, one or more, with nothing between."""
    return st.lists(part, max_size=most).map(lambda rows: list(chain.from_iterable(rows)))


def _larger(inner: SearchStrategy[Words]) -> SearchStrategy[Words]:
    bracketed = words("(", inner, ")")
    called = words(name.filter(lambda n: n not in {"sum", "prod"}), "(", listed(inner), ")")
    named = words("f", "(", listed(words(name, "=", inner)), ")")
    keyed = words("density", "(", listed(words(inner, ":", inner)), ")")
    subscripted = words(name, "[", listed(words(number)), "]")
    aggregate = words(
        st.sampled_from(["sum", "prod"]), "(", listed(name), maybe(words("where", inner)), ":", inner, ")"
    )
    atom = st.one_of(bracketed, called, named, keyed, subscripted, aggregate)
    signed = words(st.sampled_from(["-", "+"]), atom)
    sign = st.sampled_from(["+", "-", "*", "/", "^"])
    operation = words(atom, sign, st.one_of(atom, signed), sign, atom)
    return st.one_of(atom, signed, operation)


_ATOM = words(st.one_of(name, number, number, string))
arithmetic: SearchStrategy[Words] = st.recursive(_ATOM, _larger, max_leaves=6)
comparison = words(arithmetic, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), arithmetic)
condition = st.one_of(
    comparison, words("not", comparison), words(comparison, st.sampled_from(["and", "or"]), comparison)
)
expression = st.one_of(arithmetic, arithmetic, condition)
interval = words(st.sampled_from(["[", "("]), arithmetic, ",", arithmetic, st.sampled_from(["]", ")"]))
label = st.one_of(words(name), words(number), words("-", number), words(string))
law = words("normal", "(", arithmetic, ",", arithmetic, ")", maybe(words("on", interval)))
mapping = words("{", listed(words(label, ":", st.one_of(arithmetic, law)), most=4), "}")
sequence = words("[", listed(st.one_of(arithmetic, words(number)), most=14), "]")
value = st.one_of(expression, law, mapping, sequence, words("{", listed(words(label, ":", mapping)), "}"))
letters = words("[", listed(name), "]")
target = words(name, maybe(letters))
doc = maybe(string)
scope = maybe(words("[", listed(name), maybe(words("where", condition)), "]"))
requirement = words(arithmetic, st.sampled_from([">=", "<=", "=="]), arithmetic)
steps = words(arithmetic, "..", arithmetic)
label_set = words("{", listed(label), "}")
path = st.sampled_from(["d.video", "w.3", 'mu.video."New York"', "x"])
place = st.one_of(words(path), words(name, "[", listed(label), "]"))
ordering = words(arithmetic, ">=", arithmetic, maybe(words("==", arithmetic)))

shared = st.one_of(
    words("index", listed(name), "in", name, "=", st.one_of(label_set, steps), doc),
    words("param", target, maybe(words("in", st.one_of(interval, words(name)))), "=", value, doc),
    words("param", target, "~", law, doc),
    words("let", target, "=", value, doc),
    words("state", target, doc),
    words("common", target, "~", law, doc),
    words("demand", scope, ":", requirement, doc),
    words("constraint", name, scope, ":", requirement, doc),
    words(
        "contract", maybe(letters), name, "->", name, ":", st.one_of(words("direct"), words("direct", "(", ")")), doc
    ),
    words("contract", name, "->", name, ":", "contest", "(", listed(words(name, "=", expression)), ")"),
    words("objective", name, ":", st.sampled_from(["maximize", "minimize"]), expression, doc),
    words("report", name, "=", value),
)
item = st.one_of(
    words("type", target, "~", st.one_of(law, mapping), doc),
    words(
        "choose", target, maybe(st.one_of(words("in", interval), words(">=", arithmetic), words("<=", arithmetic))), doc
    ),
    words(st.sampled_from(["cost", "value", "bargaining", "outside"]), expression, doc),
    words("signal", target, "=", expression, doc),
    words("represents", name),
)
layer = st.one_of(
    words("layer", target, doc),
    words("layer", target, doc, "{", several(item, 4), "}"),
    words("layer", target, "{", item, "}", doc),
)
inside = several(st.one_of(shared, layer, words("set", place, "=", value), words("cite", string)), 4)
regime = words("regime", name, doc, "{", inside, "}")
axis = words(place, "in", st.one_of(steps, words(steps, "by", arithmetic), label_set, sequence))
study = st.one_of(
    words(st.sampled_from(["draws", "seed", "instances"]), arithmetic),
    words("regimes", listed(name)),
    words("vary", listed(axis)),
    words("table", listed(expression)),
    words("plot", "box", "(", listed(expression), ")"),
)
experiment = words("experiment", name, doc, "{", several(study, 4), "}")
statement = st.one_of(
    words("market", name, string),
    words("cite", string),
    shared,
    shared,
    layer,
    layer,
    regime,
    experiment,
    words("claim", name, ":", listed(ordering), doc),
)
program = several(statement, 5)

_SPACES = [" ", " ", " ", " ", "  ", "\t", "\n", "\n\n", "\n\n\n\n", "\r\n"]


@st.composite
def written(draw: st.DrawFn, commented: bool = True) -> str:
    """A random program, with random white space, and comments anywhere if wanted."""
    pieces: list[str] = []
    count = 0
    for word in draw(program):
        space = draw(st.sampled_from([*_SPACES, *(["# {}\n", "\n  # {}\n", "\n#{}\n\n"] if commented else [])]))
        count += "#" in space
        pieces += [f"{' ' if '#' in space else ''}{space.format(f'note {count}')}", word]
    return "".join(pieces) + draw(st.sampled_from(["", "\n", "\n\n", "  # the end"] if commented else ["", "\n"]))
