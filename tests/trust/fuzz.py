"""Spoilt inputs and options for every command and loader: a result or an error in words comes out, nothing else.

    python tests/trust/fuzz.py --cases 10000 --seed 0 --write docs/trust/fuzz.json

Case ``i`` of a seed is the same in every run (``--only i`` shows it). Each has a fresh folder, a limit of processor
time, at which it is interrupted as by the keyboard, and a limit of memory. A case fails by an exit code other than
0, 1 and 2, an exception other than `InputError` and `OSError` (in the library), a warning of anything but this
package, a file that is half-written or should not have changed, code of a file that is executed, a crash, or when
it does not stop on being interrupted.
"""

import argparse
import contextlib
import hashlib
import io
import json
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from unittest import mock

for _threads in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
from trust import cases, inputs, origin
from trust.spoiling import CANARY

from rhmtheory import InputError
from rhmtheory.cli import main as run_command
from rhmvalidation.studies import report as reports

SECONDS = 5.0
"""Processor time of a case, after which it is interrupted."""
PATIENCE = 120.0
"""Wall time after which a process that says nothing is ended."""
MEMORY = 3 << 30
"""Address space of a case, bytes, beyond what is loaded."""


class Hang(BaseException):
    """The case did not stop when it was interrupted."""


@dataclass
class Verdict:
    """What became of a case."""

    row: str
    shown: str
    faults: list[str] = field(default_factory=list)
    interrupted: bool = False
    out_of_memory: bool = False
    seconds: float = 0.0
    said: str = ""


def run_case(case: cases.Case, folder: Path) -> Verdict:
    """Run one case in a folder of valid inputs that it may spoil, and judge what is left."""
    verdict = Verdict(case.row, case.shown)
    here, start = Path.cwd(), time.process_time()
    os.chdir(folder)
    try:
        case.prepare()
        before, rows = _contents(folder), _rows(folder)
        code, said = _guarded(case, verdict)
        after = _contents(folder)
    finally:
        os.chdir(here)
    verdict.said = said[:2000]
    verdict.seconds = time.process_time() - start
    verdict.out_of_memory = "not enough memory" in said
    if "Traceback" in said:
        verdict.faults.append("traceback:" + said)
    if (folder / CANARY).exists() or (here / CANARY).exists():
        verdict.faults.append("code was executed")
    _judge_files(case, code, before, after, folder, verdict.faults)
    if not case.spoils:
        lost = rows - _rows(folder)
        verdict.faults.extend([f"rows are lost: {sorted(lost)[0][:200]}"] if lost else [])
    return verdict


def _guarded(case: cases.Case, verdict: Verdict) -> tuple[int | None, str]:
    """Exit code and output of the case, within its limits."""
    stage = 0

    def alarm(*_: object) -> None:
        nonlocal stage
        stage += 1
        verdict.interrupted = True
        raise KeyboardInterrupt if stage == 1 else Hang

    said, code = io.StringIO(), None
    signal.signal(signal.SIGPROF, alarm)
    signal.setitimer(signal.ITIMER_PROF, SECONDS, SECONDS)
    try:
        with (
            warnings.catch_warnings(record=True) as told,
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
            _without_figures(case),
            case.surroundings(),
        ):
            warnings.simplefilter("always")
            code = run_command(case.args) if case.args else case.call()
    except (InputError, OSError) as error:
        code = 2
        if case.args:
            verdict.faults.append(f"{type(error).__name__} came out of the command: {error}")
    except KeyboardInterrupt:
        code = 130
    except Hang:
        verdict.faults.append("did not stop when interrupted")
    except BaseException:  # what no user is to see
        verdict.faults.append("".join(traceback.format_exc(limit=-3)))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    allowed = (0, 1, 2, 130) if verdict.interrupted else (0, 1, 2)
    if case.args and code not in allowed and not verdict.faults:
        verdict.faults.append(f"exit code {code}: {said.getvalue()}")
    for one in told:
        if one.category is not UserWarning or "rhm" not in Path(one.filename).parts[-2]:
            verdict.faults.append(f"{one.category.__name__} at {one.filename}:{one.lineno}: {one.message}")
    return code, said.getvalue()


def _without_figures(case: cases.Case) -> contextlib.AbstractContextManager[object]:
    """Most of the sweeps draw nothing."""
    if case.figures or case.args[:1] != ("study",) or "--plot" in case.args:
        return contextlib.nullcontext()
    return mock.patch.object(reports.Report, "figures", return_value={})


def _contents(folder: Path) -> dict[str, tuple[int, str]]:
    """Length and hash of every file, by its path in the folder."""
    out = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            out[str(path.relative_to(folder))] = len(content), hashlib.sha256(content).hexdigest()
    return out


def _rows(folder: Path) -> set[tuple[str, str]]:
    """Recorded runs of all folders; lines that are damaged are no rows."""
    found = set()
    for path in folder.glob("*/runs.jsonl"):
        for line in path.read_text(errors="replace").splitlines() if path.is_file() else ():
            with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
                run = json.dumps(json.loads(line)["run"], sort_keys=True)
                found.add((str(path.relative_to(folder)), run))
    return found


def _judge_files(case, code, before, after, folder, faults) -> None:
    """Nothing half-written, nothing gone, nothing changed that is not to be written."""
    writes = tuple(case.writes)
    for name in sorted(before.keys() | after.keys()):
        meant = bool(writes) and name.startswith(writes)
        if name not in after:
            if not (meant and name.endswith(".pt")):  # a checkpoint goes when its runs are safe
                faults.append(f"{name} is gone")
        elif name not in before:
            if not meant:
                faults.append(f"{name} was written")
            elif code != 0 and not case.keeps:
                faults.append(f"{name} was written although the command failed")
            faults.extend(_half_written(folder / name))
        elif after[name] != before[name]:
            if name == "record.jsonl" and meant:
                content = (folder / name).read_bytes()[: before[name][0]]
                whole = hashlib.sha256(content).hexdigest() == before[name][1]
                faults.extend([] if whole or case.spoils == name else [f"lines of {name} were changed"])
            elif not meant or (Path(name).parent.name == "runs" and case.spoils != name):
                faults.append(f"{name} was changed")


def _half_written(path: Path) -> list[str]:
    """Whether a new file is not whole."""
    try:
        content = path.read_bytes()
        if path.suffix == ".json":
            json.loads(content)
        elif path.suffix == ".npy":
            np.load(io.BytesIO(content))
        elif path.suffix == ".png" and not content.endswith(b"IEND\xaeB`\x82"):
            raise ValueError("no end")
        elif path.suffix == ".part":
            raise ValueError("a temporary file")
    except Exception as error:
        return [f"{path.name} is half-written: {error}"]
    return []


# --- many cases ---------------------------------------------------------------------------------------------


def fuzz(
    made: Sequence[Callable[[], cases.Case]],
    tell=lambda text: None,
    valid: Path | None = None,
    seconds: float = float("inf"),
) -> list[Verdict]:
    """Run cases, each made when its turn comes, in child processes that may crash; stop after so many seconds."""
    until = time.monotonic() + seconds
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory() as name:
        if valid is None:
            valid = Path(name) / "valid"
            make_inputs(valid)
        while len(verdicts) < len(made) and time.monotonic() < until:
            _some_cases(valid, made, verdicts, tell, until)
    return verdicts


def numbered(count: int, seed: int, first: int = 0) -> list[Callable[[], cases.Case]]:
    """Cases ``first`` .. ``first + count - 1`` of a seed."""
    return [partial(cases.make, i, seed) for i in range(first, first + count)]


def make_inputs(folder: Path) -> None:
    """Valid inputs, and every command run once, so that no case waits for a compiler."""
    torch.set_num_threads(1)
    folder.mkdir()
    here = Path.cwd()
    os.chdir(folder)
    try:
        inputs.make(folder)
        for args in cases.VALID:
            inputs.command(*args)
        for name in cases.OUTPUTS:
            Path(name).unlink(missing_ok=True)
    finally:
        os.chdir(here)


def _some_cases(valid, made, verdicts, tell, until) -> None:
    """Cases that have no verdict yet, in one child process."""
    context = multiprocessing.get_context("spawn")  # a fork would inherit locks of threads
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(valid, made[len(verdicts) :][:2000], send))
    child.start()
    send.close()
    shown = ("", "")
    fault = f"no answer within {PATIENCE:.0f} s"
    try:
        while receive.poll(PATIENCE):
            message = receive.recv()
            if isinstance(message, tuple):
                shown = message
                continue
            if message.faults:
                tell(f"case {len(verdicts)}: {message.row}: {message.shown}\n    " + "\n    ".join(message.faults))
            verdicts.append(message)
            if time.monotonic() > until:
                child.kill()
                return
    except EOFError:
        child.join()
        fault = f"the process ended with code {child.exitcode}"
    if child.exitcode != 0:
        child.kill()
        tell(f"case {len(verdicts)}: {shown}: {fault}")
        verdicts.append(Verdict(*shown, [fault]))
    child.join()


def _child(valid: Path, made, send) -> None:
    torch.set_num_threads(1)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY,) * 2)
    for make in made:
        case = make()
        send.send((case.row, case.shown))
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "inputs"
            shutil.copytree(valid, folder)
            send.send(run_case(case, folder))
    send.close()
    os._exit(0)


def figures(verdicts: list[Verdict], seed: int) -> dict:
    """What was tried and what failed, ready for JSON."""
    tried, failed = Counter(v.row for v in verdicts), Counter(v.row for v in verdicts if v.faults)
    interrupted = sum(v.interrupted for v in verdicts)
    memory = sum(v.out_of_memory for v in verdicts)
    return {
        "title": "Spoilt inputs and options",
        "command": f"python tests/trust/fuzz.py --cases {len(verdicts)} --seed {seed} --write docs/trust/fuzz.json",
        "provenance": origin.origin("numpy", "scipy", "numba", "torch", "click"),
        "rows": [{"what": row, "tried": tried[row], "failed": failed[row]} for row in sorted(tried)],
        "notes": [
            f"{interrupted} cases asked for more than {SECONDS:g} s of processor time, were interrupted as by the "
            "keyboard, and stopped with nothing half-written.",
            f"{memory} cases needed more than {MEMORY >> 30} GiB of memory and ended with an error that says so.",
            f"{sum(v.seconds for v in verdicts):.0f} s of processor time in all.",
        ],
    }


def main() -> None:
    """Run the cases that are asked for, show failures, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="Stop after so much time.")
    parser.add_argument("--only", type=int, help="This case alone.")
    parser.add_argument("--write", type=Path, help="Write the figures to this JSON file.")
    parser.add_argument("--slow", action="store_true", help="Show the cases that were interrupted, too.")
    given = parser.parse_args()
    first, count = (0, given.cases) if given.only is None else (given.only, 1)
    verdicts = fuzz(numbered(count, given.seed, first), lambda text: print(text, flush=True), None, given.seconds)
    if given.only is not None:
        print(verdicts[0])
    if given.slow:
        for v in verdicts:
            if v.interrupted or v.out_of_memory:
                print(f"{'interrupted' if v.interrupted else 'memory'}: {v.row}: {v.shown}")
    found = figures(verdicts, given.seed)
    for row in found["rows"]:
        seconds = np.mean([v.seconds for v in verdicts if v.row == row["what"]])
        print(f"{row['tried']:6d} tried {row['failed']:4d} failed {seconds:6.2f} s each  {row['what']}")
    print("\n".join(found["notes"]))
    if given.write:
        given.write.parent.mkdir(exist_ok=True, parents=True)
        given.write.write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(any(v.faults for v in verdicts))


if __name__ == "__main__":
    main()
