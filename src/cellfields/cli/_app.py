"""The Typer application with all commands and the options that stand before a command."""

from __future__ import annotations

from typing import Annotated

import typer

from cellfields.cli.converge import converge
from cellfields.cli.elastic import elastic
from cellfields.cli.eos import eos
from cellfields.cli.evaluate import evaluate
from cellfields.cli.import_ import import_
from cellfields.cli.info import info
from cellfields.cli.init import init
from cellfields.cli.label import label
from cellfields.cli.pack import pack
from cellfields.cli.predict import predict
from cellfields.cli.predictor import predictor
from cellfields.cli.reproduce import reproduce
from cellfields.cli.run import run
from cellfields.cli.solve import solve
from cellfields.cli.start import start
from cellfields.cli.stress import stress
from cellfields.cli.train import train
from cellfields.cli.uniaxial import uniaxial
from cellfields.cli.unpack import unpack

app = typer.Typer(
    help="Deformation in, electronic fields out: learn how a crystal's electronic structure answers to strain.",
    epilog="Start with: cellfields init study && cellfields run study/magnesium.toml",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: quick to import, and a usage error is one line
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        from cellfields import __version__

        typer.echo(f"cellfields {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            show_default=False,
            help="Say on stderr what a solve is doing: a line for each relaxation step; -vv: for each SCF step too.",
        ),
    ] = 0,
) -> None:
    if verbose:
        import logging

        from cellfields.verbosity import hide_log, show_log

        show_log(logging.INFO if verbose == 1 else logging.DEBUG)
        context.call_on_close(hide_log)


for command in (init, run, label, train, evaluate, solve, predict, info, stress, uniaxial, elastic, eos, pack, unpack):
    app.command()(command)
app.command()(start)
app.command()(predictor)
app.command()(reproduce)
app.command()(converge)
app.command("import")(import_)
