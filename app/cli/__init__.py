"""The command ``earmark``. A subcommand's module is imported when it is called: no help text waits for torch."""

from __future__ import annotations

import importlib
from typing import Any

import click

# Command: module and attribute that hold it, and what the help says.
_COMMANDS = {
    "run": ("app.cli.run", "run", "Start everything on this machine; Ctrl-C stops it."),
    "set-up": ("app.cli.set_up", "set_up", "Migrate the database and build the starter model if there is none."),
    "web": ("app.cli.web", "web", "Serve the API and the portal."),
    "worker": ("app.cli.worker", "worker", "Analyse what is uploaded."),
    "chores": ("app.cli.chores", "chores", "Sweep up: lost jobs, expired sessions, orphaned files."),
    "classify": ("app.cli.classify", "classify", "Hear recordings on this machine, without a server."),
    "batch": ("app.cli.batch", "batch", "Send a folder of recordings through a server; write a report."),
    "db": ("app.cli.db", "db", "Bring the database to a revision."),
    "model": ("app.cli.model", "model", "Import, build, list and activate models."),
    "api-key": ("app.cli.api_key", "api_key", "Give and revoke keys of programs."),
    "sign-in-link": ("app.cli.sign_in_link", "sign_in_link", "Print a one-time sign-in link (local mode)."),
    "backup": ("app.cli.backup", "backup", "Copy everything to a folder, while Earmark runs."),
    "restore": ("app.cli.backup", "restore", "Bring a backup into an empty data folder."),
    "files": ("app.cli.files", "files", "Copy recordings between the storage and a folder."),
    "retention": ("app.cli.retention", "retention", "Delete what is over its time, or say what would go."),
    "health": ("app.cli.health", "health", "Tell whether a process on this machine is well."),
    "doctor": ("app.cli.doctor", "doctor", "Check everything; say what is wrong and how to mend it."),
    "bench": ("app.cli.bench", "bench", "Measure speed, memory and fidelity on this machine."),
    "openapi": ("app.cli.openapi", "openapi", "Print the OpenAPI description of the API."),
}


class WrongSetup(click.ClickException):
    """One line on stderr, exit code 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        click.echo(self.message, file=file, err=file is None)


def _out_of_reach(error: Exception) -> str | None:
    """In one line, if that's what it is; a pipe that nobody reads on is click's own matter."""
    from app.integrations.outage import is_outage  # noqa: PLC0415

    if isinstance(error, BrokenPipeError) or not is_outage(error):
        return None
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return f"database or storage can't be used: {reason}\nearmark doctor finds out what is wrong."


class LazyGroup(click.Group):
    """Knows its commands by name and loads the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; settings that can't work end it with one line and exit code 2, what is out of reach with one and 1."""
        from app.errors import EarmarkError  # noqa: PLC0415  --help and --version need neither
        from app.settings import SettingsError  # noqa: PLC0415

        try:
            return super().invoke(ctx)
        except SettingsError as error:
            raise WrongSetup(str(error)) from error
        except EarmarkError as error:
            raise click.ClickException(str(error)) from error
        except Exception as error:
            if (reason := _out_of_reach(error)) is None:
                raise
            raise click.ClickException(reason) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="earmark", message="earmark %(version)s")
def main() -> None:
    """Listens to recordings and earmarks each with a genre. Settings are environment variables: see docs/settings.md."""
