"""The wheel that users install: exactly the two packages, with every file they read at run time."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.sources import ROOT

PACKAGES: Final = ("node", "protocol")
BUILD: Final = "import sys, setuptools.build_meta as build; build.build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    source, output = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.iterdir():
        if path.is_file() and path.name in {"pyproject.toml", "LICENSE", "README.md"}:
            shutil.copy(path, source)
    (source / "tests").mkdir()
    subprocess.run([sys.executable, "-c", BUILD, str(output)], cwd=source, check=True, capture_output=True)
    (wheel,) = output.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def files_of(folder: Path) -> set[str]:
    paths = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(ROOT).as_posix() for path in paths}


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel_names: set[str]) -> None:
    shipped = {name for name in wheel_names if ".dist-info/" not in name}
    assert shipped == {name for package in PACKAGES for name in files_of(ROOT / package)}


def test_the_wheel_carries_its_licence(wheel_names: set[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel_names)
