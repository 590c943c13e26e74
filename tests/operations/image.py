"""The Dockerfile as an engine reads it, and its build carried out in directories in place of an image."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.documents import PROJECT

DOCKERFILE: Final = PROJECT / "Dockerfile"
ENVIRONMENT: Final = "/opt/pintuan"
"""Where the image has what `pip` installed."""
STEP_S_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, with its continued lines joined."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """A JSON list as it is, or the words of any other text."""
        return list(json.loads(self.text)) if self.text.startswith("[") else self.text.split()


@dataclass(frozen=True, slots=True)
class Stage:
    """One FROM and what follows it."""

    base: str
    steps: list[Instruction] = field(default_factory=list)

    def all(self, name: str) -> list[Instruction]:
        """Every instruction of a name, in order."""
        return [step for step in self.steps if step.name == name]

    def the(self, name: str) -> Instruction:
        """The only one of a name."""
        [step] = self.all(name)
        return step

    def variables(self) -> dict[str, str]:
        """What ENV sets."""
        return dict(re.findall(r"(\w+)=(\S+)", " ".join(step.text for step in self.all("ENV"))))


def stages() -> list[Stage]:
    """The stages; what stands before the first FROM is left out."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: list[Stage] = []
    for line in filter(str.strip, text.splitlines()):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            found.append(Stage(rest))
        elif found:
            found[-1].steps.append(Instruction(name, " ".join(rest.split())))
    return found


def is_ignored(path: str) -> bool:
    """Whether `.dockerignore` keeps a path of the project out; the last pattern that fits decides."""
    ignored = False
    for line in (PROJECT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if not line or line.startswith("#"):
            continue
        fits = any(
            fnmatch.fnmatch(part, pattern.removeprefix("**/"))
            for part in ([path, *path.split("/")] if pattern.startswith("**/") else [path.split("/")[0]])
        )
        if fits:
            ignored = not line.startswith("!")
    return ignored


def build(directory: Path) -> Path:
    """Carries out the first stage below a directory; answers where that has what the second stage copies.

    COPY copies what `.dockerignore` lets through; RUN runs with the interpreter that runs the tests.
    """
    first, _ = stages()
    context, environment = directory / "build", directory / "environment"
    context.mkdir()
    builder = directory / "builder"
    _run([sys.executable, "-m", "venv", str(builder)], directory, dict(os.environ))
    environ = {
        **os.environ,
        **first.variables(),
        "PATH": f"{builder / 'bin'}:{os.environ['PATH']}",
    }
    for step in first.steps:
        if step.name == "COPY":
            *sources, target = step.words
            for source in sources:
                _copy(source, context / target)
        elif step.name == "RUN":
            command = step.text.replace(ENVIRONMENT, str(environment))
            _run(["bash", "-euc", command], context, environ)
    return environment


def _run(command: list[str], directory: Path, environ: dict[str, str]) -> None:
    outcome = subprocess.run(  # noqa: S603 - the Dockerfile's own steps.
        command,
        cwd=directory,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=STEP_S_MAX,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def _copy(source: str, target: Path) -> None:
    """A file goes into the directory `target`, the content of a directory becomes that of `target`."""
    origin = PROJECT / source
    files = [origin] if origin.is_file() else [path for path in origin.rglob("*") if path.is_file()]
    for path in files:
        if not is_ignored(path.relative_to(PROJECT).as_posix()):
            place = target / (path.name if origin.is_file() else path.relative_to(origin))
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
