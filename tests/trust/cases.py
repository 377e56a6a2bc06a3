"""The cases of the fuzzer: a command or a call, what it reads, and what it may write."""

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import click
import numpy as np
import torch
from trust import inputs
from trust.spoiling import NUMBERS, OTHERS, hostile, spoil

from rhmtheory import RHM, Grammar
from rhmtheory.cli import cli
from rhmtheory.cli.options import OutputFile, PerLevel
from rhmvalidation.studies.programs import train_runs

SIZES = (
    -1,
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    16,
    17,
    32,
    64,
    100,
    1000,
    4096,
    10**5,
    10**6,
    10**12,
    2**31,
    2**63,
    2**64,
    10**30,
)
OUTPUTS = ("figure.png", "figure.svg", "figure.pdf", "tokens_out.npy")
VALID = (
    ("predict", *inputs.ENSEMBLE, "--plot", "figure.png"),
    ("predict", *inputs.ENSEMBLE, "--plateaus", "quenched"),
    ("correlations", *inputs.ENSEMBLE, "--grammars", "3", "--plot", "figure.png"),
    ("plateaus", "--grammar", "weighted.npz", "--plot", "figure.png"),
    ("plateaus", *inputs.ENSEMBLE, "--grammars", "3", "--json"),
    ("sample", *inputs.ENSEMBLE, "--out", "tokens_out.npy", "--plot", "figure.svg"),
    ("sample", "--grammar", "weighted.npz", "--trees", "--json"),
    ("tree", *inputs.ENSEMBLE, "--plot", "figure.png"),
    ("thresholds", *inputs.ENSEMBLE, "--grammars=2", "--tolerance=0.5", "--most", "2000", "--plot", "figure.png"),
    ("corpus", "text.txt", "--plot", "figure.png"),
    ("corpus", "tokens.npy"),
    ("compare", "curve.csv", *inputs.CURVE_ENSEMBLE, "--plot", "figure.png"),
    ("study", "tiny.toml", "--out", "results", "--workers", "1", "--device", "cpu"),
    ("study", "tiny.toml", "--dry-run", "--device", "cpu"),
    ("report", "results", "--plot", "figure.pdf"),
    ("report", "published", "--json"),
    ("presets",),
)  # fmt: skip
"""Commands that succeed on the valid inputs."""


@dataclass
class Case:
    """One case; ``row`` is its line among the figures."""

    row: str
    shown: str
    args: tuple[str, ...] = ()
    """Of the command line; empty for a call."""
    call: Callable[[], Any] = lambda: None
    prepare: Callable[[], None] = lambda: None
    """Spoils a file, in the case's own folder."""
    writes: tuple[str, ...] = ()
    """Beginnings of the paths that may be written."""
    keeps: bool = False
    """Whether what was written stays where the command fails: records and results folders."""
    spoils: str = ""
    """The file that is spoilt."""
    surroundings: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext
    """Environment and output of the command."""
    figures: bool = False
    """Whether `study` draws its figures, which takes longer than all else that it does here."""


def make(i: int, seed: int) -> Case:
    """Case ``i`` of a seed."""
    rng = np.random.default_rng([seed, i])
    return KINDS[i % len(KINDS)](rng)


# --- options ------------------------------------------------------------------------------------------------


def options(rng: np.random.Generator) -> Case:
    """A command that succeeds, with some of its options exchanged, added or left out."""
    valid = VALID[rng.integers(len(VALID))]
    name, rest = valid[0], list(valid[1:])
    if rng.random() < 0.85:
        rest = _without(rest, "--plot")
    command = cli.get_command(click.Context(cli), name)
    given = [one for one in command.params if isinstance(one, click.Option)]
    for _ in range(1 + int(rng.integers(3))):
        option = given[rng.integers(len(given))]
        flag = option.opts[0]
        values = () if option.is_flag else tuple(_value(option, rng) for _ in range(option.nargs))
        if flag in rest and not option.is_flag:
            at = rest.index(flag)
            rest[at : at + 1 + option.nargs] = [flag, *values] if rng.random() < 0.9 else []
        elif flag != "--help":
            rest += [flag, *values]
    if name == "study":  # in this process, on the processor
        rest += ["--workers", "1"] if "--workers" not in rest or rest[rest.index("--workers") + 1] != "-1" else []
        rest += ["--device", "cpu"] if rng.random() < 0.8 else []
        rest = _without(rest, "--scheduler")  # one that is not there takes ten seconds to fail
    args = (name, *(text for text in rest if "\x00" not in text and len(text) < 10**5))
    writes = tuple(args[j + 1] for j, x in enumerate(args[:-1]) if x in ("--plot", "--out", "--record"))
    own = ("results", "published") if name in ("study", "report") else ()
    keeps, figures = name in ("study", "thresholds"), rng.random() < 0.1
    return Case(f"options of {name}", " ".join(args), args, writes=(*writes, *own), keeps=keeps, figures=figures)


def _without(rest: list[str], flag: str) -> list[str]:
    if flag in rest:
        at = rest.index(flag)
        del rest[at : at + 2]
    return rest


def _value(option: click.Option, rng: np.random.Generator) -> str:
    kind = option.type.types[0] if isinstance(option.type, click.Tuple) else option.type
    if rng.random() < 0.05:
        return str(OTHERS[rng.integers(len(OTHERS))])[:5000]
    if isinstance(kind, PerLevel):
        return ",".join(str(SIZES[rng.integers(len(SIZES))]) for _ in range(int(rng.choice([1, 1, 1, 2, 3]))))
    if isinstance(kind, click.Choice):
        return str(rng.choice(list(kind.choices)))
    if isinstance(kind, OutputFile):
        places = [
            "figure.png",
            "figure.svg",
            "figure.pdf",
            "nowhere/figure.png",
            "results",
            "text.txt",
            "record.jsonl",
        ]
        return str(rng.choice(places if kind.endings else ["record.jsonl", "new.jsonl", "results", "."]))
    if isinstance(kind, click.Path):
        return str(
            rng.choice(["grammar.npz", "weighted.npz", "text.txt", "results", "published", "nowhere", "out", ""])
        )
    if kind is click.INT:
        return str(SIZES[rng.integers(len(SIZES))])
    if kind is click.FLOAT:
        return str(NUMBERS[rng.integers(len(NUMBERS))])
    words = ["tiny", "tiny.toml", "quick", "text.txt", "1/2", "2/1", "0/0", "cpu", "hpu", "cnn", "both", "cnn,lcn",
             "", "3 1 4 1", "1", "9 " * 8, "0 " * 8, "svg", "png", "xyz", "a,b", "-1"]  # fmt: skip
    return str(rng.choice(words))


# --- files --------------------------------------------------------------------------------------------------


def _file(row: str, name: str, args: tuple[str, ...], rng, writes: tuple[str, ...] = ()) -> Case:
    def prepare() -> None:
        spoil(Path(name), rng)

    return Case(
        row, f"{name}: {' '.join(args)}", args, prepare=prepare, writes=writes, keeps=bool(writes), spoils=name
    )


def grammar_file(rng: np.random.Generator) -> Case:
    """A grammar file, read by one of the commands."""
    name = str(rng.choice(["grammar.npz", "weighted.npz"]))
    command = str(rng.choice(["sample", "tree", "plateaus", "predict", "correlations"]))
    return _file("grammars (.npz)", name, (command, "--grammar", name, "--json"), rng)


def curve_file(rng: np.random.Generator) -> Case:
    """A learning curve."""
    return _file("curves (.csv)", "curve.csv", ("compare", "curve.csv", *inputs.CURVE_ENSEMBLE, "--json"), rng)


def corpus_file(rng: np.random.Generator) -> Case:
    """A text, or token ids."""
    name = str(rng.choice(["text.txt", "tokens.npy"]))
    extra = ("--bytes",) if rng.random() < 0.3 else ()
    return _file("corpora (text, .npy)", name, ("corpus", name, "--json", *extra), rng)


def record_file(rng: np.random.Generator) -> Case:
    """A learner's record: grammar 2 is new to it."""
    args = (
        "thresholds",
        *inputs.ENSEMBLE,
        "--grammars",
        "3",
        "--tolerance",
        "0.5",
        "--law=unshared",
        "--levels",
        "1",
    )
    return _file("records (.jsonl)", "record.jsonl", (*args, "--record", "record.jsonl"), rng, ("record.jsonl",))


def preset_file(rng: np.random.Generator) -> Case:
    """A preset: what it would cost, or trained."""
    if rng.random() < 0.5:
        return _file("presets (.toml)", "tiny.toml", ("study", "tiny.toml", "--dry-run", "--json"), rng)
    args = ("study", "tiny.toml", "--out", "new", "--workers", "1", "--device", "cpu")
    return _file("presets (.toml)", "tiny.toml", args, rng, ("new",))


def results_folder(rng: np.random.Generator) -> Case:
    """A file of a results folder: reported on, or gone on with."""
    runs = [f"results/runs/{run.key}.json" for run in inputs.runs()]
    name = str(
        rng.choice(["results/preset.json", "results/runs.jsonl", "results/comparison.json", rng.choice(runs)])
    )
    if rng.random() < 0.5:
        return _file("results folders", name, ("report", "results", "--json"), rng)
    args = ("study", "tiny.toml", "--out", "results", "--workers", "1", "--device", "cpu")
    return _file("results folders", name, args, rng, ("results",))


def published_file(rng: np.random.Generator) -> Case:
    """A file of the published training code."""
    name = f"published/run{rng.choice([1, 50])}.pt"
    return _file("published runs (.pt)", name, ("report", "published", "--json"), rng)


def checkpoint_file(rng: np.random.Generator) -> Case:
    """A checkpoint: gone on with, or left aside."""
    case = _file("checkpoints (.pt)", "checkpoint.pt", (), rng)

    def call() -> int:
        two = inputs.runs()[:2]
        outcomes = train_runs(two, torch.device("cpu"), checkpoint=Path("checkpoint.pt"))
        json.dumps([asdict(outcome) for outcome in outcomes])
        return 0

    case.call = call
    return case


def kept_rows(rng: np.random.Generator) -> Case:
    """A folder of recorded rows, gone on with by another preset, or written into by another report."""
    into = str(rng.choice(["recorded", "results", "others"]))
    if rng.random() < 0.4:
        args = ("report", str(rng.choice(["recorded", "results", "others", "published"])), "--out", into)
    else:
        preset = str(rng.choice(["tiny.toml", "other.toml", "smaller.toml"]))
        part = ("--network", str(rng.choice(["cnn", "attention"]))) if rng.random() < 0.5 else ()
        args = ("study", preset, "--out", into, "--workers", "1", "--device", "cpu", *part)
    return Case("folders of other studies", " ".join(args), args, writes=(into,), keeps=True)


def foreign_record(rng: np.random.Generator) -> Case:
    """A record that is somebody's file: it stays as it is."""
    name = str(rng.choice(["notes.txt", "text.txt", "tiny.toml", "curve.csv", "results/preset.json", "tokens.npy"]))
    args = ("thresholds", *inputs.ENSEMBLE, "--grammars", "1", "--law=unshared", "--levels", "1", "--record", name)
    return Case("records that are other files", " ".join(args), args)


def pipe(rng: np.random.Generator) -> Case:
    """A pipe where a file is read: nobody ever writes to it."""
    name, args = PIPES[rng.integers(len(PIPES))]

    def prepare() -> None:
        path = Path(name)
        path.unlink(missing_ok=True)
        os.mkfifo(path)

    writes = ("results",) if args[0] == "study" else ()
    return Case(
        "pipes in place of files", f"{name}: {' '.join(args)}", args, prepare=prepare, writes=writes, keeps=True
    )


def surroundings(rng: np.random.Generator) -> Case:
    """A command in an environment, with a label or before a terminal that it was not made for."""
    args = VALID[rng.choice([0, 3, 6, 11])]
    args = (*_without(list(args), "--plot"),)
    if args[0] == "compare":
        args += ("--label", str(rng.choice(["net \udcff", "é\u2028", "\u4e2d" * 200, "\x1b[31m", "-"])))
    threads = str(rng.choice(["1", "0", "-1", "abc", "", "9" * 400, "1.5", "\u0663"]))
    terminal = str(rng.choice(["as it is", "ascii", "closed", "leaves"]))

    @contextlib.contextmanager
    def around() -> Iterator[None]:
        streams = {
            "as it is": sys.stdout,
            "ascii": io.TextIOWrapper(io.BytesIO(), encoding="ascii"),
            "closed": None,
            "leaves": io.TextIOWrapper(_Leaves()),
        }
        with (
            mock.patch.dict(os.environ, {"NUMBA_NUM_THREADS": threads}),
            mock.patch("sys.stdout", streams[terminal]),
        ):
            yield

    shown = f"{' '.join(args)}: NUMBA_NUM_THREADS={threads[:20]}, output {terminal}"
    return Case(
        "environment and terminal", shown.encode("ascii", "backslashreplace").decode(), args, surroundings=around
    )


class _Leaves(io.RawIOBase):
    """A reader that is gone."""

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        raise BrokenPipeError


PIPES = (
    ("tiny.toml", ("study", "tiny.toml", "--dry-run")),
    ("results/preset.json", ("study", "tiny.toml", "--out", "results", "--workers", "1", "--device", "cpu")),
    ("results/runs.jsonl", ("report", "results")),
    ("results/comparison.json", ("report", "results")),
    ("results/runs/0123456789abcdef.json", ("report", "results")),
    ("published/run1.pt", ("report", "published")),
    ("curve.csv", ("compare", "curve.csv", *inputs.CURVE_ENSEMBLE)),
    ("text.txt", ("corpus", "text.txt")),
    ("tokens.npy", ("corpus", "tokens.npy")),
    ("grammar.npz", ("plateaus", "--grammar", "grammar.npz")),
    ("record.jsonl", ("thresholds", *inputs.ENSEMBLE, "--grammars", "1", "--record", "record.jsonl")),
)


# --- calls --------------------------------------------------------------------------------------------------


def ensemble_call(rng: np.random.Generator) -> Case:
    """An ensemble or a grammar from values of any kind."""
    given: dict[str, Any] = {"v": 4, "m": 2, "s": 2, "L": 2, "n": None, "rule_probabilities": None}
    for name in rng.choice(sorted(given), size=int(rng.integers(1, 3)), replace=False):
        value = hostile(rng)
        given[str(name)] = [value, 2] if rng.random() < 0.2 else value
    tables: Any = [[[[0, 1], [2, 3]], [[1, 0], [3, 2]]], [[[0, 1]], [[1, 1]], [[0, 0]], [[2, 3]]]]

    def call() -> int:
        if rng.random() < 0.5:
            rhm = RHM(**given)
            str(rhm), rhm.f if rhm.has_alike_levels else rhm.d
        else:
            from trust.spoiling import of_value

            Grammar.from_rules(of_value(tables, rng)).plateaus()
        return 0

    return Case("library: ensembles and rules", str(given)[:300], call=call)


def observation_call(rng: np.random.Generator) -> Case:
    """What some tokens say, where weights are tiny: probabilities, or an error; never NaN."""
    L = int(rng.integers(1, 5))
    rhm = RHM(v=int(rng.integers(3, 7)), m=int(rng.integers(2, 4)), s=2, L=L)
    tiny = 10.0 ** -float(rng.choice([3, 20, 100, 150, 200, 300, 307]))
    seed = int(rng.integers(100))

    def call() -> int:
        grammar = weighted(rhm, tiny, seed, rng)
        uniform = rhm.grammar(seed)  # its sentences are of any probability under the other
        tokens = uniform.sample(6, seed + 1)
        if rng.random() < 0.2:
            tokens = rng.integers(0, rhm.n_symbols(0), tokens.shape)
        mask = rng.random(rhm.d) < rng.random()
        way, level = rng.integers(5), int(rng.integers(0, L + 1))
        if way == 0:
            found = grammar.posteriors(tokens, mask=mask)
        elif way == 1:
            found = grammar.posteriors(tokens, level=level, mask=mask)
        elif way == 2:
            found = grammar.posterior(tokens, context_level=level)
        elif way == 3:
            found = grammar.next_token(tokens[:, : int(rng.integers(0, rhm.d))])
        else:
            grammar.sample_posterior(tokens, mask=mask, samples=2, seed=1)
            return 0
        if not np.isfinite(found).all() or (found.size and abs(found.sum(axis=-1) - 1).max() > 1e-9):
            raise AssertionError(f"not probabilities: {found}")
        return 0

    return Case("library: observations of small probability", f"{rhm}, weights {tiny:g}, seed {seed}", call=call)


def weighted(rhm: RHM, tiny: float, seed: int, rng: np.random.Generator) -> Grammar:
    """Rules and classes of which some weigh next to nothing."""
    grammar = rhm.grammar(seed)
    tables = []
    for level in range(rhm.L, 0, -1):
        shape = rhm.n_symbols(level), rhm.n_rules(level)
        table = np.where(rng.random(shape) < 0.5, tiny, rng.random(shape) + 0.1)
        tables.append(table / table.sum(axis=1, keepdims=True))
    prior = np.where(rng.random(rhm.n_symbols(rhm.L)) < 0.5, tiny, 1.0)
    return grammar.reweighted(tables, prior=prior / prior.sum())


KINDS = (
    options, options, options, options, options, grammar_file, curve_file, corpus_file, record_file, preset_file,
    results_folder, results_folder, published_file, checkpoint_file, ensemble_call, observation_call, kept_rows,
    foreign_record, pipe, surroundings,
)  # fmt: skip
