"""A group of commands of which one is meant where none is named: ``avparse review STORE``."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class DefaultCommand(TyperGroup):
    """A group whose first command takes all arguments that do not begin with the name of another one."""

    @property
    def default(self) -> str:
        """Name of the command that is meant."""
        return next(iter(self.commands))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the default command before arguments that name none."""
        named = not args or args[0] in self.commands or args[0] in ctx.help_option_names
        return super().parse_args(ctx, args if named else [self.default, *args])
