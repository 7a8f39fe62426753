"""The commands of `mechdsl`, one module each: `run(arguments)` parses what follows the command's name, does it, prints,
and returns an exit status.

This file is the table: a new command is a module here and a line below. Nothing is imported until a command is called,
so help costs next to nothing and `check` never waits for a solver.
"""

__all__ = [
    "ANSWERED",
    "AT_FAULT",
    "COMMANDS",
    "INTERRUPTED",
    "NOT_CERTIFIED",
    "NOT_SOLVED",
    "NO_READER",
    "OUR_FAULT",
    "WRONG_USAGE",
]

# Exit statuses, a contract with scripts.
ANSWERED, AT_FAULT, WRONG_USAGE, NOT_CERTIFIED, NOT_SOLVED = 0, 1, 2, 3, 4
OUR_FAULT, INTERRUPTED, NO_READER = 70, 130, 141

# `name` lies in `mechdsl.commands.name`; the sentence is its line in the help.
COMMANDS = {
    "solve": "solve the regimes at the reported types: allocation, payments, accounts, certificate",
    "compare": "every regime in expectation, side by side, and every claim with its verdict",
    "simulate": "outcomes at many draws of the types: means, errors, quantiles, and every row in a file",
    "sweep": "outcomes on a grid of params, and where along it what binds changes",
    "run": "the file's experiments: tables and figures",
    "report": "one document with everything: a page, LaTeX or markdown",
    "inspect": "everything derived, each step named, justified and sourced",
    "check": "look at a model without solving it (or, with --deep, with many solves)",
    "fmt": "lay out files, in place",
    "plugins": "the market structures installed, and what each handles",
    "explain": "an error code at length",
    "completion": "a script that completes commands and options in bash",
    "export": "what is solved, for other tools: pyomo, nl, latex, json",
    "package": "everything that a replication needs in one archive; and such an archive verified",
    "new": "a market structure to start from: a package that works",
}
