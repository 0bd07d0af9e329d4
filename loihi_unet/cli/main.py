# SPDX-License-Identifier: BSD-3-Clause
"""Entry point of ``loihi-unet``.

Exit codes: 0 done (for verify: EXACT), 1 the check failed, 2 bad input, 130 Ctrl-C.
"""

from __future__ import annotations

import io
import sys
from typing import Annotated, cast

import typer

from export.errors import UserError, one_line
from loihi_unet.cli import (
    convert,
    demo,
    doctor,
    evaluate,
    finetune,
    fit,
    kit,
    network,
    reproduce,
    setup_lava,
    simulate,
    train,
    verify,
)

app = typer.Typer(
    name="loihi-unet",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from loihi_unet.versions import own_version

        sys.stdout.write(f"loihi-unet {own_version()}\n")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and exit.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Spiking U-Nets for Intel Loihi: train, export to netx, simulate bit-exactly."""


app.command("demo")(demo.demo)
app.command("train")(train.train)
app.command("convert")(convert.convert)
app.command("finetune")(finetune.finetune)
app.command("evaluate")(evaluate.evaluate)
app.add_typer(evaluate.data_app, name="data")
app.command("export")(network.export)
app.command("inspect")(network.inspect)
app.command("simulate")(simulate.simulate)
app.command("verify")(verify.verify)
app.command("fit")(fit.fit)
app.command("report")(verify.report)
app.command("selftest")(kit.selftest)
app.command("probes")(kit.probes)
app.command("reproduce")(reproduce.reproduce)
app.command("doctor")(doctor.doctor)
app.command("setup-lava")(setup_lava.setup_lava)


INTERRUPTED = 130  # 128 + SIGINT, as shells have it

# What typer raises for a wrong option or argument; each typer version has its own
# copy of the class, public only as the base of BadParameter.
UsageError = cast(type[typer.BadParameter], typer.BadParameter.__mro__[1])


def main() -> None:
    """Run the command line; bad input is one line and exit code 2."""
    code = INTERRUPTED
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files may be in any encoding.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = app(standalone_mode=False)
    except UsageError as error:
        fail(error.format_message())
    except UserError as error:
        fail(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        fail(one_line(f"{error.filename}: {error.strerror}"))
    except (typer.Abort, KeyboardInterrupt):
        pass
    if code == INTERRUPTED:  # some versions of typer make it an exit code themselves
        sys.stderr.write("interrupted\n")
    sys.exit(code)


def fail(message: str) -> None:
    """Print one line on stderr and leave with exit code 2."""
    sys.stderr.write(f"error: {message}\n")
    sys.exit(2)


if __name__ == "__main__":
    # Lava spawns processes: the guard keeps them from running the command again.
    main()
