"""The archive that a reader of the built book takes home: all notebooks and what they need.

``build`` writes it beside the pages; ``check`` unpacks it into an empty folder, in an environment
that holds its packages and its wheel but nothing of this repository, and runs chapters there with
the network off: by default three, with ``--all`` every one, in an environment that pip makes from
the archive as its README says. Only kernels run there; what compares their outputs stays outside.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import reluspec_lib
from tools.settings import BOOK, BUILD, HTML, ROOT, environment, find_notebooks

__all__ = ["FEW", "NAME", "build", "contents", "environment_of", "main"]

NAME = f"reluspec-{reluspec_lib.__version__}"
WHEEL = f"{NAME}-py3-none-any.whl"
# One that reads files from another folder, one that needs an extra package, and the first page.
FEW = ("book/record/speed.ipynb", "book/width/running-bigger.ipynb", "book/index.ipynb")
# What stands beside notebooks and belongs to the pages alone.
PAGES = {".md", ".yml", ".bib"}

README = f"""# {NAME}: the notebooks of the book

Every chapter with its data, the library as a wheel, and the packages that they were run with.

    python3 -m venv .venv
    .venv/bin/python -m pip install --require-hashes -r requirements.txt
    .venv/bin/python -m pip install --no-deps {WHEEL}
    .venv/bin/python -m pip install jupyterlab jupyterlab-myst
    OPENBLAS_NUM_THREADS=1 .venv/bin/jupyter lab book/index.ipynb

To run a chapter without a browser, the last two lines are

    OPENBLAS_NUM_THREADS=1 .venv/bin/jupyter execute book/theorems/model.ipynb

Python 3.11 or later. After the installation no notebook needs the network.
"""

# Runs when an interpreter of the environment starts. Kernels talk over the loopback interface. To
# connect a datagram socket sends nothing: Dask finds the address of its own machine in this way.
OFFLINE = """
import errno, socket, sys

def refuse(event, arguments):
    if event == "socket.connect":
        address = arguments[1]
        local = not isinstance(address, tuple) or address[0] in ("127.0.0.1", "::1", "localhost")
        if not local and arguments[0].type == socket.SOCK_STREAM:
            raise OSError(errno.ENETUNREACH, f"the network is off: {address}")

sys.addaudithook(refuse)
"""


def beside(notebooks: Sequence[Path]) -> list[Path]:
    """Return the data that lie beside notebooks, and the stored timings."""
    folders = sorted({path.parent for path in notebooks if path.parent != BOOK})
    found = [path for folder in folders for path in folder.iterdir()]
    found += (ROOT / "benchmarks" / "results").glob("*.json")
    return sorted(
        path
        for path in found
        if path.is_file() and path.suffix not in PAGES | {".ipynb"} and path.name[0] != "."
    )


def contents() -> dict[str, bytes]:
    """Return the files of the archive by their names in it."""
    notebooks = find_notebooks()
    licences = [ROOT / "LICENSE", ROOT / "LICENSE-TEXT.md"]
    paths = [*notebooks, *beside(notebooks), ROOT / "requirements.txt", *licences]
    files = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        files[WHEEL] = (Path(folder) / WHEEL).read_bytes()
    files["README.md"] = README.encode()
    return files


def build(folder: Path = HTML) -> Path:
    """Write the archive into a folder; the same source gives the same bytes."""
    path = folder / f"{NAME}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(contents().items()):
            # Without a time of its own an entry would have that of the build.
            entry = zipfile.ZipInfo(f"{NAME}/{name}")
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return path


def environment_of(folder: Path, *, install: bool) -> Path:
    """Make an environment for the unpacked archive and return its Python.

    With ``install`` pip fills it as the README says. Without, its packages are those of this
    Python: a path is added, whose editable installs do not count, and the wheel is unpacked.
    """
    venv = folder / ".venv"
    command = [sys.executable, "-m", "venv", *([] if install else ["--without-pip"]), str(venv)]
    subprocess.run(command, check=True)
    python = venv / "bin" / "python"
    site = venv / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    if install:
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "-r", "requirements.txt"], cwd=folder, check=True)
        subprocess.run([*pip, "--no-deps", WHEEL], cwd=folder, check=True)
    else:
        (site / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
        with zipfile.ZipFile(folder / WHEEL) as wheel:
            wheel.extractall(site)
    # Last, for pip needs the network.
    (site / "sitecustomize.py").write_text(OFFLINE, encoding="utf-8")
    return python


def kernel_of(python: Path, folder: Path) -> None:
    """Write the description of a kernel named ``archive`` that runs a Python."""
    kernel = folder / "kernels" / "archive"
    kernel.mkdir(parents=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    description = {"argv": argv, "display_name": "archive", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(description), encoding="utf-8")


def check(archive: Path, notebooks: Sequence[str], *, install: bool) -> int:
    """Run notebooks of the archive in an empty folder and compare them with what they hold."""
    with tempfile.TemporaryDirectory() as name:
        with zipfile.ZipFile(archive) as file:
            file.extractall(name)
        folder = Path(name) / NAME
        kernel_of(environment_of(folder, install=install), Path(name))
        command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "--color=no", "--nbval"]
        command += ["--nbval-kernel-name=archive", "--nbval-cell-timeout=300", "-n", "2"]
        command += ["--dist", "loadfile", "-p", "no:cacheprovider", *(notebooks or ["book"])]
        env = environment() | {"JUPYTER_PATH": name}
        return subprocess.run(command, cwd=folder, env=env).returncode


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="tools.archive", description=__doc__)
    parser.add_argument("mode", choices=["build", "check"])
    parser.add_argument("--all", action="store_true", help="every notebook, installed by pip")
    options = parser.parse_args(arguments)
    if options.mode == "build":
        print(build(BUILD))
        return 0
    built = HTML / f"{NAME}.zip"
    if not built.is_file():
        print("the book is not built: run make book first", file=sys.stderr)
        return 2
    return check(built, [] if options.all else FEW, install=options.all)


if __name__ == "__main__":
    sys.exit(main())
