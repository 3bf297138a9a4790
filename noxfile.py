"""Sessions only: names mapped to commands. `nox -l` lists them; what follows `--` goes to the command behind, untouched."""

import hashlib
import sys
from pathlib import Path

import nox
import tomllib
from nox.command import CommandFailed

HERE = Path(__file__).parent
try:
    IMAGES = tomllib.loads((HERE / "matrix.toml").read_text(encoding="utf-8"))["images"].items()
except (OSError, ValueError, KeyError, AttributeError):
    # The sessions that there would be: the command behind them says what is wrong with the file, and where.
    IMAGES = [(folder.parent.name, {}) for folder in sorted((HERE / "images").glob("*/smoke.py"))]

nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True
nox.options.sessions = ["lint", "tests"]

INTERRUPT_SECONDS = 20
"""What a command has to end its containers after Ctrl-C."""


def install(session: nox.Session, lock: str) -> None:
    """Install a lock into the session's environment, unless it is the one installed last."""
    content = (HERE / "requirements" / lock).read_bytes()
    stamp = Path(session.virtualenv.location) / "installed.sha256"
    digest = hashlib.sha256(content).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        session.install("--requirement", f"requirements/{lock}")
        stamp.write_text(digest)


def python(environment: str) -> str:
    return str(HERE / ".nox" / environment / "bin" / "python")


def run(session: nox.Session, environment: str, *command: str) -> None:
    """Run a module of an environment. Its exit code is nox' own: release scripts tell 2 from 4."""
    try:
        session.run(
            python(environment),
            "-m",
            *command,
            # A user's own modules must not come before the ones that the lock names.
            env={"PYTHONPATH": None, "PYTHONHOME": None},
            external=True,
            interrupt_timeout=INTERRUPT_SECONDS,
            terminate_timeout=INTERRUPT_SECONDS,
        )
    except CommandFailed as error:
        sys.exit(error.return_code or 1)


@nox.session(default=False)
def host(session: nox.Session) -> None:
    """The environment of the host's commands; the others ask for it"""
    install(session, "host.lock")


@nox.session(default=False)
def dev(session: nox.Session) -> None:
    """The environment of tests and checks; the others ask for it"""
    install(session, "dev.lock")


def host_session(name: str, doc: str, *command: str, tags: tuple[str, ...] = ()) -> None:
    """A session that runs a command of the host's, and has it to itself: nothing may run beside a measurement."""

    def session(session: nox.Session) -> None:
        run(session, "host", *command, *session.posargs)

    # nox lists the first line of the docstring, and reads it when it decorates.
    session.__doc__ = doc
    decorate = nox.session(name=name, venv_backend="none", requires=["host"], default=False, tags=list(tags), allow_parallel=False)
    decorate(session)


for image, settings in IMAGES:
    described = settings.get("description", image) if isinstance(settings, dict) else image
    host_session(
        f"image-{image}",
        f"Build the image {image} ({described}), unless it is there",
        "matrix",
        "--end-with-parent",
        "image",
        image,
        tags=("image",),
    )
    host_session(
        f"bench-{image}",
        f"Measure {image} ({described}) and show the results",
        "matrix",
        "--end-with-parent",
        "bench",
        image,
        tags=("bench",),
    )

host_session(
    "report", "Make the page of one or more runs: -- RUN [RUN...] (the latest where absent) [--open] [--serve] [--export DIR]", "reports"
)
host_session(
    "gate",
    "Fail when an image is slower or wrong: -- --baseline IMAGE --candidate IMAGE (exit codes 0, 1 regressed, 3 inconclusive)",
    "reports.gate",
    "--end-with-parent",
)
host_session(
    "accept",
    "Take a run's statuses for what is expected of its image's version: -- [RUN] [--check] (the latest where absent)",
    "reports.accept",
)
host_session("doctor", "Check this host: engine, builder, GPU, driver, permissions, disk, clocks, load", "matrix", "doctor")
host_session(
    "gate-simulation",
    "Benchmark: how often the gate is wrong, and what it finds, on simulated matrices",
    "tests.benchmarks.gate_simulation",
)
host_session(
    "gate-judging", "Benchmark: 10 000 cells of two images judged from the rows of 16 launches each", "tests.benchmarks.gate_judging"
)
host_session(
    "gate-real", "Benchmark: the gate on real launches of an image and of worse ones: -- --image REF (hours)", "tests.benchmarks.gate_real"
)
host_session("page-benchmark", "Benchmark: the page of 10 000 cells of 3 images with 30 samples each", "tests.benchmarks.page")
host_session("operators", "Where a workload's time goes, operator by operator: -- RUN (a run of operators:FILE)", "reports.operators")
host_session("overhead", "Benchmark: this harness beside a fresh interpreter per cell and mode", "tests.benchmarks.overhead")


@nox.session(venv_backend="none", requires=["dev"], default=False)
def fidelity(session: nox.Session) -> None:
    """Benchmark: are the numbers true? -- STUDY [options] (known, agreement, aa, planted, modes, efficiency, memory, table)"""
    run(session, "dev", "tests.benchmarks.fidelity", *session.posargs)


@nox.session(name="page-browser", venv_backend="none", requires=["dev"], default=False)
def page_browser(session: nox.Session) -> None:
    """Benchmark: what a browser does with the page of 10 000 cells of 3 images: -- [--cells N] [--run RUN]"""
    run(session, "dev", "tests.benchmarks.page_browser", *session.posargs)


@nox.session(name="page-pictures", venv_backend="none", requires=["dev"], default=False)
def page_pictures(session: nox.Session) -> None:
    """Make the pictures of the page in README and docs anew, of generated runs"""
    run(session, "dev", "tests.benchmarks.page_pictures", *session.posargs)


@nox.session(name="operator-sums", venv_backend="none", requires=["dev"], default=False)
def operator_sums(session: nox.Session) -> None:
    """Benchmark: operators one by one, and the eager time of the model that they were recorded of: -- [--device cuda]"""
    run(session, "dev", "tests.benchmarks.operator_sums", *session.posargs)


@nox.session(name="from-dynamo", venv_backend="none", requires=["dev"], default=False)
def from_dynamo(session: nox.Session) -> None:
    """Run every command of docs/from-dynamo.md and write down what it gave: -- [options of bench]"""
    run(session, "dev", "tests.benchmarks.from_dynamo", *session.posargs)


@nox.session(venv_backend="none", requires=["dev"], default=False)
def lock(session: nox.Session) -> None:
    """Make the locks anew from their requirements.in: -- [NAME...] [--find-links DIR]"""
    run(session, "dev", "matrix", "lock", *session.posargs)


@nox.session(venv_backend="none", requires=["dev"])
def lint(session: nox.Session) -> None:
    """Check style and types: ruff, mypy strict"""
    run(session, "dev", "ruff", "check", ".")
    run(session, "dev", "ruff", "format", "--check", ".")
    run(session, "dev", "mypy", *session.posargs)


@nox.session(venv_backend="none", requires=["dev"])
def tests(session: nox.Session) -> None:
    """Run the tests: unit, integration (with a Docker engine), browser (with Chromium), gpu (with one)"""
    if session.posargs:
        run(session, "dev", "pytest", *session.posargs)
        return
    # A file per processor. What a gate says of times, and what needs a GPU, is had one by one.
    beside = ["--numprocesses=auto", "--dist=loadfile", "--durations=15"]
    gate = "tests/integration/test_gate.py"
    run(session, "dev", "pytest", "tests/unit", *beside)
    run(session, "dev", "pytest", "tests/browser", *beside)
    run(session, "dev", "pytest", "tests/integration", f"--ignore={gate}", *beside)
    run(session, "dev", "pytest", gate, "tests/gpu", "--durations=15")
