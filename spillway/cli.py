"""The `spillway` command. Sub-commands are imported when they are used, so that `spillway --help` stays fast."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from spillway.errors import SpillwayError

TRACEBACK = "SPILLWAY_TRACEBACK"

Loaded = TyperGroup | TyperCommand


@dataclass(frozen=True, slots=True)
class Lazy:
    """A sub-command not imported yet.

    target: `module:attribute` of a Typer app or a command function; help: its line in the list of commands.
    """

    target: str
    help: str

    def load(self, name: str) -> Loaded:
        module, _, attribute = self.target.partition(":")
        found = getattr(import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            single = typer.Typer()
            single.command(name)(found)
            found = single
        found._add_completion = False  # the options that install completion belong to `spillway` alone
        found.rich_markup_mode = None  # one look of --help everywhere, and one that needs no import of rich
        command = typer.main.get_command(found)
        command.name = name
        return command  # type: ignore[return-value]  # Typer makes only these two


COMMANDS: Mapping[str, Lazy] = {
    "catalog": Lazy("spillway.catalog_cli:catalog", "Machine types, where they are offered, and which models fit."),
    "ci": Lazy("spillway.ci_cli:app", "What pipelines run: which stacks, one comment, issues for drift, the gate."),
    "cost": Lazy("spillway.cost_cli:app", "What it costs: prices, plans, reports, and how sure they are."),
    "dns": Lazy("spillway.dns_cli:app", "Global DNS: how fast failover is, who answers now, draining a region."),
    "engine": Lazy("spillway.engine_cli:app", "The Pulumi engine: find it, or install it once per user."),
    "image": Lazy("spillway.image_cli:app", "The serving image: render, check, bake, test, measure."),
    "keeper": Lazy("spillway.keeper.command:app", "The fleet's capacity policy: where to hold GPUs, in which market."),
    "models": Lazy("spillway.models.command:app", "Revisions of weights, in every region's model bucket."),
    "preflight": Lazy("spillway.preflight.command:command", "What an account will refuse, before `pulumi up`."),
    "rehearse": Lazy(
        "spillway.rehearse_cli:rehearse", "Recorded shortages, outages and load against what the stacks contain."
    ),
    "preview": Lazy(
        "spillway.preview.command:command", "A change before it is made: operations, cost and risk of every stack."
    ),
    "recover": Lazy(
        "spillway.recover:command", "Bring a stack's state and its cloud together after a killed or half-lost up."
    ),
    "sandbox": Lazy("sandbox.cli:app", "Stand-in clouds: deploy with no account, no credentials and no network."),
    "secrets": Lazy("spillway.secrets.command:app", "One certificate and the API keys, in every region's store."),
}


class LazyCommands(MutableMapping[str, Any]):
    """The commands by name, as Typer wants them; listing names imports nothing."""

    def __init__(self, lazy: Mapping[str, Lazy], loaded: Mapping[str, Any]) -> None:
        self._lazy = lazy
        self._loaded = dict(loaded)

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = self._lazy[name].load(name)
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._lazy, *self._loaded}))

    def __len__(self) -> int:
        return len({*self._lazy, *self._loaded})


class LazyGroup(TyperGroup):
    """A group whose sub-commands are those of COMMANDS, or what a subclass says."""

    def __init__(self, *, commands: Any = None, **attributes: Any) -> None:
        super().__init__(commands={}, **attributes)
        self.commands = LazyCommands(self.lazy(), commands or {})

    @classmethod
    def lazy(cls) -> Mapping[str, Lazy]:
        """By name, what this group imports when it is used."""
        return COMMANDS

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in sorted(self.lazy().items())])


app = typer.Typer(cls=LazyGroup, rich_markup_mode=None, pretty_exceptions_enable=False)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"spillway {version('spillway')}")
        raise typer.Exit


@app.callback()
def spillway(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Keeps a self-hosted LLM endpoint up when one cloud runs out of GPUs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line (without the program's name) and returns the exit code.

    0: done. 1: it could not be done, plain lines on standard error say why. 2: wrong usage. 127: `sandbox run` of a
    command that is not there. 130: Ctrl-C.
    SPILLWAY_TRACEBACK=1 adds the Python traceback.
    """
    try:
        answer = typer.main.get_command(app).main(
            sys.argv[1:] if arguments is None else list(arguments), prog_name="spillway", standalone_mode=False
        )
        sys.stdout.flush()
        return answer if isinstance(answer, int) else 0
    except TyperException as error:
        return _usage(error)
    except typer.Abort:
        return 130
    except SpillwayError as error:
        _fail(error, *error.lines)
        return error.CODE
    except BrokenPipeError:  # `spillway ... | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(error, f"{where}{error.strerror or error}")
    except Exception as error:  # a fault of ours is one line, too
        told = " ".join(str(error).split()) or "no message"
        return _fail(error, f"unexpected {type(error).__name__}: {told} ({TRACEBACK}=1 shows where)")


def _usage(error: TyperException) -> int:
    message = error.format_message().replace("Value error, ", "")  # of pydantic, where a value is none of several
    if "\n" in message:  # a group called with nothing: its help
        typer.echo(message, err=True)
        return error.exit_code
    context = getattr(error, "ctx", None)
    hint = f" (see `{context.command_path} --help`)" if context is not None else ""
    typer.echo(f"spillway: {message.rstrip('.')}{hint}", err=True)
    return error.exit_code


def _fail(error: BaseException, *lines: str) -> int:
    if os.environ.get(TRACEBACK) == "1":
        traceback.print_exception(error)
    for line in lines:
        typer.echo(f"spillway: {line}", err=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
