"""`mechdsl completion`: a script for bash that completes commands, options and files.

The script is text, made once: completing must not wait for Python to start.
"""

from __future__ import annotations

import re
from contextlib import redirect_stdout, suppress
from importlib import import_module
from io import StringIO

from mechdsl.commands import ANSWERED, COMMANDS
from mechdsl.commands.arguments import bare_parser

__all__ = ["run"]

_SCRIPT = """\
_mechdsl() {
  local words=""
  if [ "$COMP_CWORD" = 1 ]; then
    words="@commands@"
  elif [ "${COMP_WORDS[COMP_CWORD]#-}" != "${COMP_WORDS[COMP_CWORD]}" ]; then
    case "${COMP_WORDS[1]}" in
@cases@
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _mechdsl mechdsl"""


def run(arguments: list[str]) -> int:
    """The script on stdout."""
    parser = bare_parser("completion")
    parser.description = 'A script that completes commands and options. In ~/.bashrc: eval "$(mechdsl completion bash)"'
    parser.add_argument("shell", choices=("bash",), metavar="bash", help="the shell that is to read it")
    parser.parse_args(arguments)
    cases = "\n".join(f'      {command}) words="{" ".join(_options(command))}" ;;' for command in COMMANDS)
    print(_SCRIPT.replace("@commands@", " ".join(COMMANDS)).replace("@cases@", cases))
    return ANSWERED


def _options(command: str) -> list[str]:
    """As its help lists them."""
    said = StringIO()
    with redirect_stdout(said), suppress(SystemExit):
        import_module(f"mechdsl.commands.{command}").run(["--help"])
    return sorted(set(re.findall(r"--[a-z][a-z-]*", said.getvalue())))
