"""Texts made to hurt, by the million: what must hold of any text at all, and three ways of making texts.

`examine` holds the property. `texts` draws from the rules of the grammar, `mutations` changes texts that are nearly
right, `guided` lets libFuzzer (atheris) follow the coverage; the first two make input number n from n alone, so that a
run can be stopped, resumed and any input shown again. `python -m tests.fuzz --help` runs them at length,
`test_fuzz.py` for seconds. What was ever found is kept in `found/`, what reaches far into the program in `corpus/`.
"""
