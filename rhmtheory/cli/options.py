"""What the commands share: how parameters are read, and how an error names them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rhmtheory import RHM, InputError, ResourceError

if TYPE_CHECKING:
    from rhmtheory import Grammar
    from rhmtheory.tree import Shape

FIGURES = (".png", ".pdf", ".svg")
_FLAGS = {"levels": "--L", "exponent": "--zipf", "published_seed": "--published-seed", "file": "--grammar"}
"""Flags whose parameter has another name."""


class Command(click.Command):
    """A command whose errors name its flags: ``--segments=2`` where the library says ``segments=2``.

    ``words`` maps names that are no parameters of the command, such as ``{'units="bytes"': "--bytes"}``.
    ``ways_out`` gives the way out of errors about a name where that of the library does not lead there.
    """

    def __init__(
        self,
        *args: Any,
        words: Mapping[str, str] | None = None,
        ways_out: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        # the example stays on its line
        self.help = (self.help or "").replace("\n\nExample: ", "\n\n\b\nExample: ")
        self._words, self._ways_out = dict(words or {}), dict(ways_out or {})

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what goes wrong is told in its flags."""
        for option in self.params:
            value = ctx.params.get(option.name or "")
            if option.type is click.STRING and isinstance(value, str) and any(map(_is_surrogate, value)):
                raise click.UsageError(f"{option.opts[0]} is no UTF-8 text: give it in the terminal's encoding.")
        try:
            return super().invoke(ctx)
        except (InputError, ResourceError) as error:
            error.way_out = self._ways_out.get(error.name, error.way_out)
            raise type(error)(error.render(self._flag)) from error

    def _flag(self, name: str) -> str:
        """Name of a parameter on this command line; other names stay as they are."""
        if name in self._words:
            return self._words[name]
        options = [one for one in self.params if isinstance(one, click.Option) and one.name == name]
        # v, m, s, L and n are the notation, and flags as they are
        return options[0].opts[0] if options and len(name) > 1 else name


def _is_surrogate(sign: str) -> bool:
    """Whether a sign stands for a byte that is none of the text's encoding."""
    return "\ud800" <= sign <= "\udfff"


class PerLevel(click.ParamType):  # type: ignore[type-arg]
    """An integer, or one per level separated by commas, from the leaves up."""

    name = "INT[,INT...]"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Parse the text; the checks of the ensemble follow in `RHM`."""
        if not isinstance(value, str):
            return value
        try:
            numbers = tuple(int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not an integer, nor integers separated by commas", param, ctx)
        return numbers[0] if len(numbers) == 1 else numbers


class OutputFile(click.Path):
    """A file to be written, refused before anything is computed where its folder is missing."""

    def __init__(self, endings: tuple[str, ...] = ()) -> None:
        super().__init__(dir_okay=False, writable=True)
        self.endings = endings

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Check ending and folder."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if self.endings and path.suffix.lower() not in self.endings:
            self.fail(
                f"{path} is no {', '.join(e[1:] for e in self.endings)} file: give one of these endings", param, ctx
            )
        if not path.parent.is_dir():
            self.fail(f"{path} cannot be written: there is no folder {path.parent}", param, ctx)
        return str(path)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
plot_option = click.option("--plot", type=OutputFile(FIGURES), help="Write a figure (png, pdf or svg).")

_SIZES = {
    "v": (PerLevel(), "Symbols per level."),
    "m": (PerLevel(), "Production rules per symbol."),
    "s": (PerLevel(), "Children per rule."),
    "L": (click.INT, "Levels of rules."),
}
_CLASSES = (
    click.option("--n", type=int, help="Root symbols (classes); by default v."),
    click.option("--zipf", "exponent", type=float, help="Rule probabilities ~ r**-(1 + this)."),
)
_GRAMMAR = (
    click.option("--published-seed", type=int, help="Seed of the authors' public code, in place of --seed."),
    click.option(
        "--grammar", "file", type=click.Path(exists=True, dir_okay=False),
        help="A grammar saved with Grammar.save, in place of --v --m --s --L and a seed.",
    ),
)  # fmt: skip


def _ensemble_of(mark: str) -> tuple[Callable[..., Any], ...]:
    """Options --v --m --s --L --n --zipf, those that must be given marked so in the help."""
    sizes = (
        click.option(f"--{name}", "levels" if name == "L" else name, type=kind, help=f"{text}  [{mark}]")
        for name, (kind, text) in _SIZES.items()
    )
    return (*sizes, *_CLASSES)


def ensemble_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --v --m --s --L --n --zipf, and hand the command the ensemble as ``rhm``."""

    def run(**given: Any) -> Any:
        return command(rhm=_ensemble(given), **given)

    return _with_options(run, command, _ensemble_of("required"))


class Chosen:
    """The grammar that a command works on, drawn or read when it is first asked for.

    Attributes
    ----------
    rhm : RHM, optional
        Its ensemble, known without drawing: ensembles may be too large for a grammar. None where it has none.
    origin : dict
        For JSON: ``seed``, ``published_seed`` or ``file``. Empty, and the seed 0, where none is given.
    """

    def __init__(self, rhm: RHM | None, origin: dict[str, Any], make: Callable[[], Grammar]) -> None:
        self._rhm, self.origin, self._make = rhm, origin, make

    @property
    def has_ensemble(self) -> bool:
        """Whether the grammar belongs to an ensemble: weights per symbol have none."""
        return self._rhm is not None

    @property
    def rhm(self) -> RHM:
        """The ensemble; raises `InputError` where there is none."""
        return self._rhm or self.grammar.require_rhm()

    @property
    def shape(self) -> Shape:
        """The shape of the trees."""
        return self._rhm.shape if self._rhm else self.grammar.shape

    @cached_property
    def grammar(self) -> Grammar:
        """The grammar."""
        return self._make()

    @property
    def seed(self) -> int:
        """Seed for averages over the ensemble."""
        return int(self.origin.get("seed", 0))

    def described(self) -> dict[str, Any]:
        """The grammar for JSON: where it comes from, and its fingerprint."""
        return {**(self.origin or {"seed": 0}), "fingerprint": self.grammar.fingerprint}


def grammar_options(unnamed: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the ensemble's options, --seed, --published-seed and --grammar; hand the command the `Chosen` grammar.

    ``unnamed`` says in the help what a command does where no grammar is named.
    """
    seed = click.option("--seed", type=int, help=f"Seed of the grammar.  [default: {unnamed}]")

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        def run(**given: Any) -> Any:
            return command(chosen=_chosen(given), **given)

        return _with_options(run, command, (*_ensemble_of("required, or --grammar"), seed, *_GRAMMAR))

    return add


def _with_options(
    run: Callable[..., Any], command: Callable[..., Any], options: tuple[Callable[..., Any], ...]
) -> Callable[..., Any]:
    run.__doc__, run.__name__ = command.__doc__, command.__name__
    run.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(options):
        option(run)
    return run


def _ensemble(given: dict[str, Any]) -> RHM:
    """Take the ensemble's options out of those given."""
    values = {name: given.pop(name) for name in ("v", "m", "s", "levels")}
    n, exponent = given.pop("n"), given.pop("exponent")
    missing = [_FLAGS.get(name, f"--{name}") for name, value in values.items() if value is None]
    if missing:
        instead = " (or --grammar FILE)" if "file" in given else ""
        raise click.UsageError(f"Missing option {' '.join(missing)}{instead}.")
    return RHM(v=values["v"], m=values["m"], s=values["s"], L=values["levels"], n=n, zipf=exponent)


def _chosen(given: dict[str, Any]) -> Chosen:
    """Take ensemble and grammar out of the options given."""
    from rhmtheory import Grammar

    named = {name: given[name] for name in ("v", "m", "s", "levels", "n", "exponent")}
    origin = {name: given[name] for name in ("seed", "published_seed", "file") if given[name] is not None}
    flags = [_FLAGS.get(name, f"--{name}") for name in origin]
    if len(origin) > 1:
        raise click.UsageError(f"{' and '.join(flags)} name two grammars: give one of them.")
    if "file" in origin:
        beside = [_FLAGS.get(name, f"--{name}") for name, value in named.items() if value is not None]
        if beside:
            raise click.UsageError(f"--grammar brings its ensemble with it: leave out {' '.join(beside)}.")
        grammar = Grammar.load(origin["file"])
    else:
        rhm = _ensemble(given)
    for name in (*named, "seed", "published_seed", "file"):
        given.pop(name, None)
    if "file" in origin:
        return Chosen(grammar.rhm, origin, lambda: grammar)
    if "published_seed" in origin:
        return Chosen(rhm, origin, lambda: Grammar.from_published_seed(rhm, origin["published_seed"]))
    return Chosen(rhm, origin, lambda: rhm.grammar(origin.get("seed", 0)))
