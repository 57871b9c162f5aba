"""Shell completion of ``hilserl``: what may follow the words typed so far."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hilserl_bringup.arm_graphs import TASKS
from hilserl_bringup.graph import RUNS, Graph
from hilserl_bringup.programs import packages, programs_of
from hilserl_core.errors import UserError
from hilserl_core.parameters import types

COMMANDS = ("up", "run", "doctor", "new-task", "completion")
SHELLS = ("bash", "zsh")
_NAMES_A_RUN = ("run", "demonstrations", "policy")

_BASH = """\
# Completion of hilserl for bash: eval "$(hilserl completion bash)", or put it in
# ~/.local/share/bash-completion/completions/hilserl
_hilserl() {
  local line=${COMP_LINE:0:COMP_POINT} words current head
  read -ra words <<< "$line"
  case $line in *' ') words+=('') ;; esac
  current=${words[-1]}
  mapfile -t COMPREPLY < <(hilserl complete -- "${words[@]:1}" 2>/dev/null)
  case ${COMPREPLY[0]} in *:=) compopt -o nospace 2>/dev/null ;; esac
  # Bash takes : and = for the ends of words, and replaces only what follows the last of them.
  head=${current%"${current##*[:=]}"}
  COMPREPLY=("${COMPREPLY[@]#"$head"}")
}
complete -o default -F _hilserl hilserl
"""
_ZSH = """\
# Completion of hilserl for zsh: eval "$(hilserl completion zsh)" after compinit
_hilserl() {
  local -a found finished open
  found=("${(@f)$(hilserl complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  open=(${(M)found:#*:=})
  finished=(${found:#*:=})
  (( $#open )) && compadd -S '' -- $open
  (( $#finished )) && compadd -- $finished
  (( $#open + $#finished )) || _files
}
compdef _hilserl hilserl
"""


def script(shell: str) -> str:
    """The completion script of a shell.

    Raises:
        UserError: there is none for it.
    """
    scripts = {"bash": _BASH, "zsh": _ZSH}
    if shell not in scripts:
        raise UserError(f"no completion for '{shell}', choose from: {', '.join(SHELLS)}")
    return scripts[shell]


def complete(words: Sequence[str], graphs: Mapping[str, Graph], runs: Path = RUNS) -> list[str]:
    """What the last word can become, in order.

    Args:
        words: after ``hilserl``; the last is the one begun, maybe empty.
        graphs: by name.
        runs: the folder whose runs may be named.
    """
    *before, begun = words or [""]
    if not before:
        return _starting(begun, COMMANDS)
    after: dict[str, Callable[[], list[str]]] = {
        "up": lambda: _up(before[1:], begun, graphs, runs),
        "run": lambda: _run(before[1:], begun),
        "new-task": lambda: _starting(begun, TASKS) if before[-1] == "--from" else
        _starting(begun, ("--from",)),
        "completion": lambda: _starting(begun, SHELLS),
    }  # fmt: skip
    return after.get(before[0], list)()


def _starting(begun: str, choices: Sequence[str]) -> list[str]:
    return [choice for choice in choices if choice.startswith(begun)]


def _up(before: Sequence[str], begun: str, graphs: Mapping[str, Graph], runs: Path) -> list[str]:
    """A graph, then its arguments, each once, then what an argument may be."""
    if not before:
        return _starting(begun, list(graphs))
    graph = graphs.get(before[0].removesuffix(".launch.py"))
    if graph is None:
        return []
    fields = {field.name: field for field in dataclasses.fields(graph.arguments)}
    name, separator, value = begun.partition(":=")
    if not separator:
        given = {word.partition(":=")[0] for word in before[1:]}
        return _starting(begun, [f"{field}:=" for field in fields if field not in given])
    if name not in fields:
        return []
    choices = list(map(str, fields[name].metadata["choices"] or ()))
    if types(graph.arguments)[name] is bool:
        choices = ["true", "false"]
    elif name in _NAMES_A_RUN:
        choices = sorted(path.name for path in runs.glob("*/")) if runs.is_dir() else []
    elif name == "config":
        choices = _files(value, ".yaml")
    return [f"{name}:={choice}" for choice in _starting(value, choices)]


def _files(begun: str, suffix: str) -> list[str]:
    """Files with a suffix, and folders, that a path begun may mean."""
    folder = Path(begun if begun.endswith("/") else Path(begun).parent)
    if not folder.is_dir():
        return []
    prefix = "" if str(folder) == "." and not begun.startswith("./") else f"{folder}/"
    found = [
        f"{prefix}{path.name}/" if path.is_dir() else f"{prefix}{path.name}"
        for path in sorted(folder.iterdir())
        if (path.is_dir() or path.suffix == suffix) and not path.name.startswith(".")
    ]
    return found


def _run(before: Sequence[str], begun: str) -> list[str]:
    """A package, then its program; what follows is the program's own business."""
    if not before:
        return _starting(begun, packages())
    if len(before) == 1:
        return _starting(begun, sorted(programs_of(before[0])))
    return _starting(begun, ("--help",)) if begun.startswith("-") else []
