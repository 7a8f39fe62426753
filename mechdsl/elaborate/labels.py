"""Maps by label, `{video: 1, text: 2}`: every label of an index set once, and no other, whatever stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mechdsl import syntax_tree as tree
from mechdsl.elaborate.expressions import label_text
from mechdsl.errors import Diagnostic, did_you_mean
from mechdsl.formula import IndexSet

__all__ = ["labelled"]

_SHOWN = 5


def labelled(
    node: tree.Mapping, index_set: IndexSet, entry: Callable[[str], str], kind: str, diagnostics: list[Diagnostic]
) -> Iterator[tuple[int, tree.Expression]]:
    """What a map gives, with the places of its labels.

    Args:
        node: the map.
        index_set: whose labels it is to give.
        entry: label -> the entry it stands for, `mu[video, text]`.
        kind: what each label needs: `value`, `distribution`.
        diagnostics: where unknown, repeated and missing labels are told.
    """
    seen: set[str] = set()
    unknown = 0
    for label_node, value in node.entries:
        label = label_text(label_node)
        if label not in index_set.labels:
            unknown += 1
            message = f"{index_set.name} has no label '{label}', so {entry(label)} is no entry"
            remedy = did_you_mean(label, index_set.labels)
            diagnostics.append(Diagnostic("M031", message, label_node.span, remedy))
        elif label in seen:
            message = f"{entry(label)} is given twice"
            diagnostics.append(Diagnostic("M039", message, label_node.span, "Remove one of the two."))
        else:
            seen.add(label)
            yield index_set.position(label), value
    missing = [label for label in index_set.labels if label not in seen]
    if len(missing) > unknown:  # a misspelt label is one mistake, not two
        names = ", ".join(map(entry, missing[:_SHOWN])) + (", ..." if len(missing) > _SHOWN else "")
        remedy = f"Every label of {index_set.name} needs a {kind}."
        diagnostics.append(Diagnostic("M030", f"no {kind} for {names}", node.span, remedy))
