"""Finished runs and presets as JSON, and their readers, which say of each damaged file where and why."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from rhmtheory import RHM, InputError
from rhmtheory.support.json import parse
from rhmtheory.support.reading import check_regular
from rhmvalidation.networks.spec import NetworkSpec
from rhmvalidation.studies.runs import Run, curve_of
from rhmvalidation.training.outcome import Outcome
from rhmvalidation.training.settings import Settings

Finished = tuple[Run, Outcome]
"""A run and its outcome."""


class OldFormatError(InputError):
    """A run recorded by an earlier version, in another format."""


def written(run: Run, outcome: Outcome) -> str:
    """One finished run as a line of JSON."""
    content: dict[str, Any] = {"rhm": asdict(run.rhm), "network": run.network.to_dict()}
    content |= {name: getattr(run, name) for name in ("P", "grammar_seed", "run_seed")}
    content |= {"settings": asdict(run.settings), "seed_rule": run.seed_rule}
    return json.dumps({"run": content, "outcome": asdict(outcome)})


def read_run(path: Path) -> Finished:
    """Read the file of one finished run; raises `InputError` where it is damaged."""
    return parse_run(_text(path), str(path))


def read_runs(path: Path) -> list[Finished]:
    """Read a file of finished runs, one per line; raises `InputError` with the line that is damaged."""
    lines = _text(path).splitlines()
    return [parse_run(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1)]


def read_json(path: Path) -> Any:
    """Read a JSON file; raises `InputError` where it is not one."""
    try:
        return parse(_text(path))
    except ValueError as error:
        raise InputError(
            str(path), rule=f"is not valid JSON, it may be half-written ({error})", way_out="remove it"
        ) from error


def preset_as_dict(preset: Any) -> dict[str, Any]:
    """The whole study of a preset as plain data, for ``preset.json``."""
    sweeps = [*preset.sweeps, *preset.left_out]
    told = [asdict(sweep) | {"network": sweep.network.to_dict()} for sweep in sweeps]
    content: dict[str, Any] = json.loads(
        json.dumps({"name": preset.name, "summary": preset.summary, "sweeps": told})
    )
    return content


def settings_by_curve(content: Any, where: str) -> dict[str, Settings]:
    """Settings of the curves that a preset as plain data makes.

    Other sizes, grammars or replicas leave a curve what it is; settings that are not mentioned have their defaults.
    Raises `InputError` for what is no such data.
    """
    try:
        out = {}
        for sweep in content["sweeps"]:
            if isinstance(sweep["network"], str):
                raise _old(where)
            settings = sweep["settings"]
            for rate in sweep["learning_rates"] or [settings["learning_rate"]]:
                one = Settings(**settings | {"learning_rate": rate})
                out[curve_name(RHM(**sweep["rhm"]), _spec(sweep["network"]), one)] = one
        return out
    except OldFormatError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            where,
            rule=f"is no preset of a results folder ({type(error).__name__}: {error})",
            way_out="choose another folder, or remove the file",
        ) from error


def curve_name(rhm: RHM, network: NetworkSpec, settings: Settings) -> str:
    """The curve of a run as text."""
    return json.dumps([asdict(rhm), network.to_dict(), *curve_of(rhm, network, settings)[2:]])


def _old(source: str) -> OldFormatError:
    way_out = "rewrite its folder with validation/studies/convert_runs.py, or train it anew"
    return OldFormatError(source, rule="is of an older format", way_out=way_out)


def _spec(content: Mapping[str, Any]) -> NetworkSpec:
    return NetworkSpec(**content)


def _text(path: Path) -> str:
    check_regular(path)
    return path.read_text(encoding="utf-8", errors="replace")


def parse_run(text: str, source: str) -> Finished:
    """Read one finished run from JSON; raises `InputError`, with the source, for text that is damaged."""
    try:
        content = parse(text)
        run = dict(content["run"])
        if isinstance(run.get("network"), str):
            raise _old(source)
        rhm, network, settings = RHM(**run.pop("rhm")), _spec(run.pop("network")), Settings(**run.pop("settings"))
        found = Run(rhm, network, settings=settings, **run), Outcome(**content["outcome"])
        _check_losses(found[1])
    except OldFormatError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(source, rule=f"is damaged ({error})", way_out="remove that line or file") from error
    return found


def _check_losses(outcome: Outcome) -> None:
    """Raise `ValueError` for losses and steps that no training gives."""
    best = [] if outcome.diverged and outcome.best_loss == math.inf else [("best_loss", outcome.best_loss)]
    for name, value in [*best, *(("a loss", loss) for _, loss in outcome.curve)]:
        if not (value >= 0 and math.isfinite(value)):
            raise ValueError(f"{name} is {value}, which is no loss")
    if any(step >= following for (step, _), (following, _) in pairwise(outcome.curve)):
        raise ValueError("the steps of the curve do not grow")
