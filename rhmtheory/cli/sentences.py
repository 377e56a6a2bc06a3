"""Commands that draw sentences of one grammar: sample, tree."""

from __future__ import annotations

from typing import Any

import click

from rhmtheory import UNGRAMMATICAL, InputError
from rhmtheory.cli.options import Chosen, Command, OutputFile, grammar_options, json_option, plot_option
from rhmtheory.cli.output import print_json, save_figure
from rhmtheory.support.checks import as_int
from rhmtheory.support.files import whole_file

_MOST_PRINTED = 1 << 24
"""Tokens that are printed; nobody reads more."""

_sample_seed_option = click.option(
    "--sample-seed", type=int, default=0, show_default=True, help="Seed of the sentences."
)


@click.command("sample", cls=Command)
@json_option
@plot_option
@_sample_seed_option
@click.option("--count", type=int, default=10, show_default=True, help="Number of sentences.")
@click.option("--trees", is_flag=True, help="Print the hidden symbols of all levels, too.")
@click.option("--out", type=OutputFile((".npy",)), help="Write the tokens to a .npy file instead.")
@grammar_options("0")
def sample_command(
    chosen: Chosen,
    sample_seed: int,
    count: int,
    trees: bool,
    out: str | None,
    plot: str | None,
    as_json: bool,
) -> None:
    """Draw sentences, one per line; --plot draws the tree of the first.

    Example: rhmtheory sample --v 8 --m 2 --s 2 --L 3 --count 5
    """
    if out and trees:
        raise click.UsageError(
            "--out writes the tokens alone, and Grammar.parse finds their trees: leave out --trees."
        )
    grammar, rhm = chosen.grammar, chosen.shape
    count = as_int("count", count, low=1 if plot else 0)
    as_int("sample_seed", sample_seed, low=0)
    if not out:
        _check_printable(count * rhm.d, "fewer sentences, or write them to a file with --out")
    levels = grammar.sample_trees(count, sample_seed).levels if trees or plot else ()
    tokens = levels[0] if levels else grammar.sample(count, sample_seed)
    if plot:
        save_figure(plot, grammar.tree(tokens[0]).plot)
    if out:
        import numpy as np

        with whole_file(out) as file:
            np.save(file, tokens)
        if not as_json:
            click.echo(f"{count} sentences of {rhm.d} tokens written to {out}")
            return
    if as_json:
        content: dict[str, Any] = {"file": out} if out else {"tokens": tokens.tolist()}
        if trees and levels:
            content["levels"] = [level.tolist() for level in levels]
        print_json({**content, "grammar": chosen.described()})
        return
    for i in range(count):
        # with trees: root first, tokens last, levels apart by bars
        row = [levels[level][i] for level in range(rhm.L, -1, -1)] if trees and levels else [tokens[i]]
        click.echo(" | ".join(" ".join(map(str, symbols)) for symbols in row))


@click.command("tree", cls=Command)
@json_option
@plot_option
@_sample_seed_option
@click.option("--tokens", help="The sentence to read, as in '3 1 4 1'; by default one is drawn.")
@grammar_options("0")
def tree_command(
    chosen: Chosen,
    sample_seed: int,
    tokens: str | None,
    plot: str | None,
    as_json: bool,
) -> None:
    """Draw the derivation of a sentence, the root first.

    "?" stands where no rule produces the tuple below; the exit code is then 2.

    Example: rhmtheory tree --v 8 --m 2 --s 2 --L 3 --sample-seed 1
    """
    grammar = chosen.grammar
    if tokens is None:
        _check_printable(chosen.shape.d, "fewer levels")
        sentence: Any = grammar.sample(1, as_int("sample_seed", sample_seed, low=0))[0]
    else:
        sentence = _parsed(tokens)
    derivation = grammar.tree(sentence)
    if plot:
        save_figure(plot, derivation.plot)
    if as_json:
        print_json({"levels": [x.tolist() for x in derivation.levels], "grammar": chosen.described()})
    else:
        click.echo(str(derivation))
    if (derivation.levels[-1] == UNGRAMMATICAL).any():
        raise click.UsageError("The sentence is not of this grammar: no rule produces what stands below each ?.")


def _check_printable(tokens: int, way_out: str) -> None:
    if tokens > _MOST_PRINTED:
        raise InputError(
            f"{tokens} tokens",
            rule=f"are more than the {_MOST_PRINTED} that are printed",
            way_out=f"ask for {way_out}",
        )


def _parsed(tokens: str) -> list[int]:
    try:
        return [int(token) for token in tokens.replace(",", " ").split()]
    except ValueError:
        raise InputError("tokens", tokens, "is no list of tokens", "give integers, as in '3 1 4 1'") from None
