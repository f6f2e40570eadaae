"""The command line of the operator and of the REST server: a flag for every setting, which a file may hold too.

Rule: what is wrong is told with the place it came from, one line for each fault, whatever the source. Flags are read
once and keep their say when the file is read again.
"""

import argparse
import difflib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import pydantic
from pydantic_settings import CliSettingsSource, SettingsError

from task_pipeline import __version__
from task_pipeline.settings import CONFIG, PREFIX, Settings, WrongSettings, config_path, variables
from task_pipeline.settings_file import WrongFile

PROGRAM = "task-pipeline-operator"
HINT = "docs/settings.md lists all settings"

Flags = CliSettingsSource[Any]


def loader(arguments: Sequence[str], program: str = PROGRAM, what: str = "operator") -> Callable[[], Settings]:
    """What reads the settings of `program` anew at each call and raises WrongSettings.

    Leaves the process with code 0 for --help and --version, and with 2 for arguments that are not flags.
    """
    flags: Flags = CliSettingsSource(
        Settings,
        root_parser=_parser(program, what),
        add_argument_method=_add_flag,
        cli_kebab_case=True,
        cli_parse_args=[*arguments],
    )

    def load() -> Settings:
        try:
            return Settings(_cli_settings_source=flags)
        except pydantic.ValidationError as error:
            given = flags()
            raise WrongSettings([_fault(fault, given) for fault in error.errors()]) from error
        except WrongFile as error:
            raise WrongSettings([f"{CONFIG}: {error}"]) from error
        except SettingsError as error:
            raise WrongSettings([str(error)]) from error

    return load


def leave_wrong(faults: Sequence[str]) -> NoReturn:
    """Tell what is wrong with the settings, and leave the process with code 2."""
    print("\n  ".join(("wrong settings:", *faults)), file=sys.stderr)
    sys.exit(2)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        leave_wrong([f"{message}; --help lists all flags"])


def _parser(program: str, what: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=program,
        usage="%(prog)s [--SETTING VALUE]...",
        description=f"Run the task-pipeline {what} until SIGTERM or SIGINT.",
        epilog=f"Flags beat environment variables, these beat the YAML file that {CONFIG} names. "
        "Exit codes: 0 after a signal, 2 for wrong settings or no cluster, 1 for anything else.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _add_flag(parser: argparse.ArgumentParser, *names: str, **options: Any) -> argparse.Action:
    """Add the flag of a setting under one name, with a help text for people."""
    name = options["dest"]
    field = Settings.model_fields[name]
    default = getattr(field.default, "value", field.default)
    text = f"{default:g}" if isinstance(default, float) else str(default)
    shown = "" if default in (None, ()) else f" Default: {text}."
    options |= {"help": f"{field.description}{shown}".replace("%", "%%"), "metavar": None}
    return parser.add_argument(_flag(name), **options)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _fault(fault: Any, given: dict[str, Any]) -> str:
    """One fault of a setting: where its value came from, and what is wrong with it."""
    name, *inside = (str(part) for part in fault["loc"])
    place = ".".join((_place(name, given), *inside))
    if fault["type"] == "extra_forbidden":
        return f"{place}: no such setting; {_alike(name) or HINT}"
    return f"{place}: {fault['msg'].removeprefix('Value error, ')}"


def _alike(name: str) -> str:
    plain = name.upper().removeprefix(PREFIX).lower()
    return "".join(f"is it {found}?" for found in difflib.get_close_matches(plain, Settings.model_fields, n=1))


def _place(name: str, given: dict[str, Any]) -> str:
    if name in given:
        return _flag(name)
    if name in Settings.model_fields:
        present = {variable.upper() for variable in os.environ}
        for variable in variables(name)[::-1]:
            if variable in present:
                return variable
    return f"{config_path()}: {name}" if config_path() else name
