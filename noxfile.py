"""Tasks of the project, each one command: ``nox -l`` lists them, ``nox -s NAME -- OPTIONS`` runs one here.

They run in the environment that nox runs in: install it by the README's test command.
"""

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["tests", "lint"]


@nox.session
def tests(session: nox.Session) -> None:
    """The tests, as the README runs them."""
    session.run("pytest", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """The tests that take long: kills, full disks, clusters."""
    session.run("pytest", "-m", "slow", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format, types, and the floors."""
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("python", "tests/floors.py")


@nox.session
def freeze(session: nox.Session) -> None:
    """Freeze the public interface and its reference page, and, with ``-- values``, what seeds stand for."""
    session.run("python", "tests/data/make_interface.py", "--write")
    if "values" in session.posargs:
        session.run("python", "tests/data/make_reference.py", "--write")


@nox.session
def docs(session: nox.Session) -> None:
    """The site, with lessons and gallery run; needs the extra ``docs``."""
    session.run("sphinx-build", "docs", "docs/_build/html", "-q", "-W", "--keep-going", *session.posargs)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Fast forms against plain ones in one run."""
    session.run("python", "tests/benchmarks/ratios.py", *session.posargs)
    session.run("pytest", "tests/benchmarks", "--benchmark-only", *session.posargs)


@nox.session
def versions(session: nox.Session) -> None:
    """The tests at the lowest and the newest versions of what the package stands on; needs ``uv``."""
    session.run("python", "tests/trust/versions.py", *session.posargs)


@nox.session
def trust(session: nox.Session) -> None:
    """Renew the records behind docs/trust.md: hours; options go to the fuzzer."""
    for name in ("determinism", "covered", "faults", "calibration"):
        session.run("python", f"tests/trust/{name}.py", "--write", f"docs/trust/{name}.json")
    session.run("python", "tests/trust/fuzz.py", "--write", "docs/trust/fuzz.json", *session.posargs)
    session.run("python", "tests/trust/page.py", "--write")
