"""What a sweep survives: processes that are killed, signals, a full disk, a read-only folder, a cluster.

    python tests/trust/faults.py --write docs/trust/faults.json

Every trial ends with a sweep that is complete; it fails where the outcomes differ in one bit from those of a sweep
that nothing disturbed (apart from seconds), a run that was finished is lost or trained again, or one counts twice.
"""

import argparse
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

for _threads in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
from trust import origin

from rhmtheory.cli import main as run_command
from rhmtheory.support import files
from rhmvalidation.studies import report as reports

PRESET = """
summary = "three programs offline, one online"
[[sweep]]
network = "cnn"
arguments = { width = 16 }
ensemble = { v = 4, m = 2, s = 2, L = 2 }
grammars = 2
replicas = 2
samples = { lowest = 64, highest = 256, per_octave = 1 }
training = { learning_rate = 1.0, max_steps = 100, patience = 1e9, test_size = 64, batch_size = 16 }
[[sweep]]
network = "attention"
arguments = { width = 8 }
ensemble = { v = 4, m = 2, s = 2, L = 2 }
grammars = 2
replicas = 2
samples = { highest = 1600 }
training = { learning_rate = 1e-3, optimiser = "adamw", protocol = "online", batch_size = 16 }
"""


class WrongError(AssertionError):
    """What a trial found wrong."""


def expect(condition: object, what: str) -> None:
    """Raise `WrongError` where a condition does not hold."""
    if not condition:
        raise WrongError(what)


# --- a sweep and what it leaves -----------------------------------------------------------------------------


class Sweep:
    """A small sweep in a folder of its own, run in child processes, and the outcomes of an undisturbed one."""

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(1)
        self.folder, self._made = folder, 0
        self.preset = folder / "tiny.toml"
        self.preset.write_text(PRESET)
        whole = self.new_folder()
        expect(self.wait(self.start(whole)) == 0, "the undisturbed sweep failed")
        self.outcomes = outcomes(whole)
        used = os.times()
        self.seconds = used.children_user + used.children_system
        """Processor time that it takes."""

    def new_folder(self) -> Path:
        """A results folder that does not exist yet."""
        self._made += 1
        return self.folder / f"results{self._made}"

    def args(self, out: Path, *more: str) -> list[str]:
        """The command of the sweep."""
        more = more or ("--workers", "1")
        return ["study", str(self.preset), "--out", str(out), "--device", "cpu", *more]

    def start(self, out: Path, before: Callable[[], None] = lambda: None) -> int:
        """Run the sweep in a copy of this process, without figures; returns its number."""
        child = os.fork()
        if child:
            return child
        code = 99
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            reports.Report.figures = lambda self: {}
            said = open(self.log(out), "a", buffering=1)  # noqa: SIM115
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                before()
                try:
                    code = run_command(self.args(out))
                except Exception:
                    traceback.print_exc()
        finally:
            os._exit(code)

    def command(self, out: Path, *more: str) -> subprocess.Popen:
        """Run the sweep as users do."""
        return subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from rhmtheory.cli import main; raise SystemExit(main())",
                *self.args(out, *more),
            ],
            stdout=subprocess.DEVNULL,
            stderr=open(self.log(out), "a"),
            start_new_session=True,
        )

    def log(self, out: Path) -> Path:
        """Where all that a sweep into a folder says is written."""
        return self.folder / f"{out.parent.name}-{out.name}.log"

    def said(self, out: Path) -> str:
        """The end of that."""
        return self.log(out).read_text()[-500:] if self.log(out).exists() else ""

    def wait(self, child: int) -> int:
        """Exit code of a copy; negative for the signal that ended it."""
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def finish(self, out: Path) -> None:
        """Start it again undisturbed, and hold all that is there against the undisturbed sweep."""
        kept = {path: path.read_bytes() for path in (out / "runs").glob("*.json")}
        expect(self.wait(self.start(out)) == 0, "it does not go on: " + self.said(out))
        for path, content in kept.items():
            expect(path.read_bytes() == content, f"the finished run {path.name} was trained again")
        expect(outcomes(out) == self.outcomes, "outcomes differ from those of an undisturbed sweep")
        keys = [json.dumps(json.loads(line)["run"]) for line in (out / "runs.jsonl").read_text().splitlines()]
        expect(len(keys) == len(set(keys)) == len(self.outcomes), "runs are counted twice, or missing")
        expect(not list((out / "checkpoints").glob("*.pt")), "checkpoints of finished runs are left")


def outcomes(out: Path) -> dict[str, str]:
    """What every finished run measured, without the time it took, by the name of its file."""
    found = {}
    for path in (out / "runs").glob("*.json"):
        content = json.loads(path.read_text())
        del content["outcome"]["seconds"]
        found[path.name] = json.dumps(content)
    return found


def _used(child: int) -> float:
    """Processor time of a process, seconds: moments are counted in it, whatever else the machine does."""
    try:
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("inf")
    if fields[0] == "Z":
        return float("inf")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wait_for(condition: Callable[[], object], seconds: float = 240.0) -> bool:
    """Whether something happens within so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


# --- killed -------------------------------------------------------------------------------------------------


def killed_at_random(sweep: Sweep, rng: np.random.Generator) -> None:
    """A sweep killed at four random moments, one after the other, then gone on with."""
    out = sweep.new_folder()
    for _ in range(4):
        before = outcomes(out)
        child, moment = sweep.start(out), rng.uniform(0, sweep.seconds)
        _wait_for(lambda child=child, moment=moment: _used(child) >= moment)
        os.kill(child, signal.SIGKILL)
        sweep.wait(child)
        expect(before.items() <= outcomes(out).items(), "a finished run is lost")
    sweep.finish(out)


def killed_while_writing(sweep: Sweep, rng: np.random.Generator) -> None:
    """One copy that is killed before or after a file that it writes reaches the disk, or takes its place."""
    out, count = sweep.new_folder(), int(rng.integers(1, 9))
    name, late = str(rng.choice(["fsync", "replace"])), bool(rng.integers(2))

    def arm() -> None:
        true, left = getattr(os, name), [count]

        def deadly(*args: object) -> None:
            left[0] -= 1
            if not left[0] and not late:
                os.kill(os.getpid(), signal.SIGKILL)
            true(*args)
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

        setattr(files.os, name, deadly)

    expect(sweep.wait(sweep.start(out, arm)) == -signal.SIGKILL, "it was not killed")
    sweep.finish(out)


def interrupted(sweep: Sweep, rng: np.random.Generator, number: signal.Signals) -> None:
    """One copy that gets a signal in the middle of a program: a checkpoint is left, and taken up."""
    out = sweep.new_folder()
    child = sweep.start(out, lambda: _slow_steps(0.002))
    _wait_for(lambda: len(list((out / "runs").glob("*.json"))) >= 2)
    time.sleep(float(rng.uniform(0, 0.2)))
    before = outcomes(out)
    os.kill(child, number)
    expect(sweep.wait(child) == 130, "the exit code is not that of an interrupted command: " + sweep.said(out))
    expect(before.items() <= outcomes(out).items(), "a finished run is lost")
    expect("the same command goes on from there" in sweep.said(out), "it does not say that it can be gone on with")
    left = list((out / "checkpoints").glob("*.pt"))
    expect(len(left) == 1 or (len(outcomes(out)) % 2 == 0 and not left), "no checkpoint is left")
    if left:
        kept = _steps(left[0])
        expect(kept > 0, "the checkpoint holds no step")
        first = out.with_suffix(".first")

        def note() -> None:
            _note_first_step(first)

        child = sweep.start(out, note)
        expect(sweep.wait(child) == 0, "it does not go on: " + sweep.said(out))
        expect(int(first.read_text()) == kept + 1, "the checkpoint was not taken up")
    sweep.finish(out)


def _slow_steps(seconds: float) -> None:
    """Make every step wait, so that signals fall into the training."""
    from rhmvalidation.training.trainer import Trainer

    step = Trainer.step

    def slow(self: Trainer) -> None:
        time.sleep(seconds)
        step(self)

    Trainer.step = slow


def _note_first_step(path: Path) -> None:
    """Write down the number of the first step that is made."""
    from rhmvalidation.training.trainer import Trainer

    step = Trainer.step

    def noting(self: Trainer) -> None:
        step(self)
        if not path.exists():
            path.write_text(str(self.steps))

    Trainer.step = noting


def _steps(checkpoint: Path) -> int:
    from rhmvalidation.training.checkpoints import read_checkpoint

    return read_checkpoint(checkpoint, torch.device("cpu"))["steps"]


# --- disks --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A disk of its own, in memory; raises `OSError` where mounting is not allowed."""
    disk = folder / f"disk{time.monotonic_ns()}"
    disk.mkdir()
    told = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if told.returncode:
        raise OSError("mounting is not allowed here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def remount(disk: Path, options: str) -> None:
    """Change the size of a disk, or whether it can be written."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def full_disk(sweep: Sweep, rng: np.random.Generator) -> None:
    """The disk is full at some point of the sweep; room is made, and it goes on."""
    with small_disk(sweep.folder, 512) as disk:
        out, room = disk / "out", int(rng.integers(2, 40)) << 10
        (disk / "filler").write_bytes(bytes((512 << 10) - room))
        code = sweep.wait(sweep.start(out))
        said = sweep.said(out)
        expect(code in (1, 2), f"exit code {code} on a full disk: {said}")
        for path in out.rglob("*.json"):
            json.loads(path.read_text())
        expect(not list(disk.rglob("*.part")), "a half-written file is left")
        expect(outcomes(out).items() <= sweep.outcomes.items(), "a run is not what it should be")
        (disk / "filler").unlink()
        sweep.finish(out)


def full_disk_for_files(sweep: Sweep, rng: np.random.Generator) -> None:
    """What stood in a file stays where there is no room for the new: grammar, tokens, figure, record."""
    ensemble = ["--v", "16", "--m", "4", "--s", "2", "--L", "4"]
    with small_disk(sweep.folder, 64) as disk:
        commands = {
            "tokens.npy": ["sample", *ensemble, "--count", "9000", "--out"],
            "figure.png": ["plateaus", *ensemble, "--plot"],
        }
        for name in commands:
            (disk / name).write_bytes(b"what stood there")
        (disk / "filler").write_bytes(bytes(48 << 10))
        for name, args in commands.items():
            said = io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                code = run_command([*args, str(disk / name)])
            expect(code == 2, f"exit code {code} on a full disk: {said.getvalue()}")
            expect((disk / name).read_bytes() == b"what stood there", f"{name} is half-written")
        expect(len(list(disk.iterdir())) == 3, "a half-written file is left")


def read_only(sweep: Sweep, rng: np.random.Generator) -> None:
    """The folder cannot be written: before the sweep, or from some moment on; then it can, and it goes on."""
    with small_disk(sweep.folder, 4096) as disk:
        out = disk / "out"
        child = sweep.start(out, lambda: _slow_steps(0.001))
        _wait_for(lambda: len(list((out / "runs").glob("*.json"))) >= 2)
        # files being written keep a disk from becoming read-only
        _wait_for(
            lambda: not subprocess.run(["mount", "-o", "remount,ro", str(disk)], capture_output=True).returncode
        )
        code = sweep.wait(child)
        before = outcomes(out)
        expect(code in (1, 2), f"exit code {code} in a folder that cannot be written: {sweep.said(out)}")
        code = sweep.wait(sweep.start(out))
        expect(code == 2, f"exit code {code} in a folder that cannot be written: {sweep.said(out)}")
        expect(outcomes(out) == before, "what was there has changed")
        remount(disk, "rw")
        sweep.finish(out)


# --- several processes --------------------------------------------------------------------------------------


def two_at_once(sweep: Sweep, rng: np.random.Generator) -> None:
    """Two copies train into one folder at the same time; one may be killed."""
    out = sweep.new_folder()
    children = [sweep.start(out)]
    time.sleep(float(rng.uniform(0, 0.3)))
    children.append(sweep.start(out))
    if kill := rng.random() < 0.5:
        moment = rng.uniform(0, sweep.seconds)
        _wait_for(lambda: _used(children[0]) >= moment)
        os.kill(children[0], signal.SIGKILL)
    codes = [sweep.wait(child) for child in children]
    expect(
        codes[1] == 0 and codes[0] == (-signal.SIGKILL if kill else 0), f"exit codes {codes}: " + sweep.said(out)
    )
    expect(outcomes(out) == sweep.outcomes, "outcomes differ from those of an undisturbed sweep")
    sweep.finish(out)


def two_learners(sweep: Sweep, rng: np.random.Generator) -> None:
    """Two learners append to one record at the same time."""
    record = sweep.folder / f"record{time.monotonic_ns()}.jsonl"
    args = ["thresholds", "--v", "8", "--m", "2", "--s", "2", "--L", "3", "--grammars", "3", "--tolerance", "0.5"]
    args += ["--json", "--record", str(record)]

    def learner() -> int:
        child = os.fork()
        if not child:
            with contextlib.redirect_stdout(io.StringIO()):
                os._exit(run_command(args))
        return child

    codes = [sweep.wait(child) for child in (learner(), learner())]
    expect(codes == [0, 0], f"exit codes {codes}")
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    found: dict[str, set[float]] = {}
    for line in lines:
        if "task" in line:
            found.setdefault(json.dumps(line["task"]), set()).add(line["samples"])
    expect(
        len(found) == 12 and all(len(values) == 1 for values in found.values()), "thresholds differ, or are missing"
    )


def children_of(process: int) -> list[int]:
    """Processes that a process started and that train."""
    told = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(process)], capture_output=True, text=True, check=False
    )
    return [int(line.split()[0]) for line in told.stdout.splitlines() if "spawn_main" in line]


def killed_worker(sweep: Sweep, rng: np.random.Generator) -> None:
    """One of two worker processes is killed: told with the way out, nothing finished is lost."""
    out = sweep.new_folder()
    process = sweep.command(out, "--workers", "2")
    expect(_wait_for(lambda: list((out / "runs").glob("*.json"))), "nothing is finished: " + sweep.said(out))
    workers = children_of(process.pid)
    os.kill(workers[int(rng.integers(len(workers)))], signal.SIGKILL)
    code = process.wait()
    # it may have been idle, and the last to be: then all is well
    told = code == 1 and "a worker process was ended" in sweep.said(out)
    expect(told or code == 0, f"exit code {code}: {sweep.said(out)}")
    expect(_wait_for(lambda: not any(map(_alive, workers))), "a worker is left")
    sweep.finish(out)


def interrupted_pool(sweep: Sweep, rng: np.random.Generator, number: signal.Signals) -> None:
    """A sweep in two worker processes gets a signal, or is killed: the workers leave checkpoints and end."""
    out = sweep.new_folder()
    process = sweep.command(out, "--workers", "2")
    expect(_wait_for(lambda: list((out / "runs").glob("*.json"))), "nothing is finished: " + sweep.said(out))
    workers = children_of(process.pid)  # one of them may still be on its way
    before = outcomes(out)
    os.kill(process.pid, number)
    code = process.wait()
    expect(code in (130, -signal.SIGKILL, 0), f"exit code {code}: {sweep.said(out)}")
    expect(_wait_for(lambda: not any(map(_alive, workers))), "a worker is left")
    expect(before.items() <= outcomes(out).items(), "a finished run is lost")
    missing = len(sweep.outcomes) - len(outcomes(out))
    # after -9 a worker goes on until it sees that it is alone, and may by then have ended its program
    left = number == signal.SIGKILL or list((out / "checkpoints").glob("*.pt"))
    expect(not missing or left, "no checkpoint is left")
    sweep.finish(out)


def _alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


# --- a cluster ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def cluster(folder: Path, workers: int) -> Iterator[tuple[str, subprocess.Popen, list[subprocess.Popen]]]:
    """A Dask scheduler and workers in processes of their own."""
    file = folder / f"scheduler{time.monotonic_ns()}.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard", "--port", "0"]
    scheduler = subprocess.Popen([*command, "--host", "127.0.0.1", "--scheduler-file", str(file)], **quiet)
    command = [
        sys.executable,
        "-m",
        "distributed.cli.dask_worker",
        "--nthreads",
        "1",
        "--no-dashboard",
        "--no-nanny",
    ]
    started = [subprocess.Popen([*command, "--scheduler-file", str(file)], **quiet) for _ in range(workers)]
    try:
        expect(_wait_for(file.exists), "no scheduler starts")
        _wait_for(lambda: file.read_text().strip())
        yield json.loads(file.read_text())["address"], scheduler, started
    finally:
        for process in (*started, scheduler):
            process.kill()
            process.wait()


def dask_worker_dies(sweep: Sweep, rng: np.random.Generator) -> None:
    """One of two workers of a cluster is killed: the other takes over its programs."""
    out = sweep.new_folder()
    with cluster(sweep.folder, 2) as (address, _, workers):
        process = sweep.command(out, "--scheduler", address)
        expect(_wait_for(lambda: list((out / "runs").glob("*.json"))), "nothing is finished: " + sweep.said(out))
        workers[0].kill()
        expect(_wait_for(lambda: process.poll() is not None), "it waits for ever")
        expect(process.returncode == 0, f"exit code {process.returncode}: {sweep.said(out)}")
    sweep.finish(out)


def dask_scheduler_dies(sweep: Sweep, rng: np.random.Generator) -> None:
    """The scheduler is killed: told, and the same command goes on without a cluster."""
    out = sweep.new_folder()
    with cluster(sweep.folder, 1) as (address, scheduler, _):
        process = sweep.command(out, "--scheduler", address)
        expect(_wait_for(lambda: list((out / "runs").glob("*.json"))), "nothing is finished: " + sweep.said(out))
        before = outcomes(out)
        scheduler.kill()
        expect(_wait_for(lambda: process.poll() is not None), "it waits for ever")
        expect(process.returncode in (0, 2), f"exit code {process.returncode}: {sweep.said(out)}")
        expect("Traceback" not in sweep.said(out), sweep.said(out))
        expect(before.items() <= outcomes(out).items(), "a finished run is lost")
    sweep.finish(out)


# --- all of them --------------------------------------------------------------------------------------------

Trial = Callable[[Sweep, np.random.Generator], None]
TRIALS: dict[str, tuple[int, Trial]] = {
    "kill -9 at four random moments in turn, gone on with": (5, killed_at_random),
    "kill -9 before or after a write reaches the disk": (6, killed_while_writing),
    "Ctrl-C during training: checkpoint left and taken up": (2, lambda s, r: interrupted(s, r, signal.SIGINT)),
    "SIGTERM during training: checkpoint left and taken up": (2, lambda s, r: interrupted(s, r, signal.SIGTERM)),
    "disk full during a sweep": (4, full_disk),
    "disk full for tokens and figure": (1, full_disk_for_files),
    "disk becomes read-only during a sweep": (1, read_only),
    "two sweeps in one folder": (2, two_at_once),
    "two learners on one record": (1, two_learners),
    "a worker process killed": (1, killed_worker),
    "SIGTERM to a sweep in worker processes": (1, lambda s, r: interrupted_pool(s, r, signal.SIGTERM)),
    "Ctrl-C to a sweep in worker processes": (1, lambda s, r: interrupted_pool(s, r, signal.SIGINT)),
    "kill -9 of a sweep in worker processes": (1, lambda s, r: interrupted_pool(s, r, signal.SIGKILL)),
    "a Dask worker killed": (1, dask_worker_dies),
    "the Dask scheduler killed": (1, dask_scheduler_dies),
}

SHORT = ("kill -9 at four", "SIGTERM during", "disk full for tokens", "two sweeps")


def run_trials(sweep: Sweep, chosen: dict[str, tuple[int, Trial]], seed: int = 0) -> tuple[list[dict], list[str]]:
    """Rows of what was tried and failed, and what the failures were."""
    rows, faults = [], []
    for what, (count, trial) in chosen.items():
        failed, skipped = 0, False
        for i in range(count):
            try:
                trial(sweep, np.random.default_rng([seed, i]))
            except WrongError as fault:
                failed += 1
                faults.append(f"{what}, trial {i}: {fault}")
                print(faults[-1], flush=True)
            except OSError as error:
                skipped = True
                faults.append(f"{what}: not tried: {error}")
                break
        if not skipped:
            rows.append({"what": what, "tried": count, "failed": failed})
            print(f"{count:4d} tried {failed:4d} failed  {what}", flush=True)
    return rows, faults


def main() -> None:
    """Run all trials, or those whose name has a text, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--short", action="store_true", help="Four kinds of trial, once each.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    chosen = {what: trial for what, trial in TRIALS.items() if given.only in what}
    if given.short:
        chosen = {what: (1, trial) for what, (_, trial) in TRIALS.items() if what.startswith(SHORT)}
    with tempfile.TemporaryDirectory() as folder:
        sweep = Sweep(Path(folder))
        print(f"an undisturbed sweep takes {sweep.seconds:.1f} s of processor time", flush=True)
        rows, faults = run_trials(sweep, chosen, given.seed)
    found = {
        "title": "Faults",
        "command": "python tests/trust/faults.py --write docs/trust/faults.json",
        "provenance": origin.origin("numpy", "torch", "distributed"),
        "rows": rows,
        "notes": [
            f"Each trial ends with a sweep that is complete: its {len(sweep.outcomes)} outcomes are those of an "
            "undisturbed one bit for bit, seconds apart; no finished run was trained again or is there twice.",
            "Temporary files (.part) of a process that was killed with -9 are not read, and stay until a sweep "
            "begins in the same folder, on the same machine, a minute later or more.",
            *faults,
        ],
    }
    if given.write:
        given.write.parent.mkdir(exist_ok=True, parents=True)
        given.write.write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(any(row["failed"] for row in rows))


if __name__ == "__main__":
    main()
