"""Grammars for other programs: plain lists for JSON, and the text of a probabilistic context-free grammar."""

from __future__ import annotations

from typing import Any

from rhmtheory.tree.tables import Tables


def to_dict(tables: Tables) -> dict[str, Any]:
    """Rules, probabilities and prior as plain lists, ready for JSON; ``Grammar.from_rules(**content)`` reads them.

    Tables stand in the order of the public code of the papers, those of the root first.
    """
    levels = range(tables.shape.L, 0, -1)
    return {
        "v": tables.shape.n_symbols(0),
        "rules": [tables.rules(level).tolist() for level in levels],
        "rule_probabilities": [tables.rule_probabilities(level).tolist() for level in levels],
        "prior": tables.prior.tolist(),
    }


def to_cfg(tables: Tables) -> str:
    """Text of the grammar as a probabilistic context-free grammar, one symbol per line.

    NLTK's ``PCFG.fromstring`` reads it: ``S`` is the start, ``N2_5`` symbol 5 of level 2, ``'5'`` token 5.
    Rules of probability zero are left out.
    """
    L = tables.shape.L
    lines = [_line("S", [(f"N{L}_{c}", p) for c, p in enumerate(tables.prior.tolist())])]
    for level in range(L, 0, -1):
        name = "N{}_{}" if level > 1 else "'{1}'"
        rules, weights = tables.rules(level).tolist(), tables.rule_probabilities(level).tolist()
        for c, (choices, p) in enumerate(zip(rules, weights, strict=True)):
            sides = [" ".join(name.format(level - 1, child) for child in children) for children in choices]
            lines.append(_line(f"N{level}_{c}", list(zip(sides, p, strict=True))))
    return "\n".join(lines)


def _line(symbol: str, choices: list[tuple[str, float]]) -> str:
    return f"{symbol} -> " + " | ".join(f"{side} [{p!r}]" for side, p in choices if p > 0)
