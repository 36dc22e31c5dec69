"""The archive of the book: what is in it, and that it is the same each time."""

import io
import json
import re
import zipfile

import pytest

from tools import archive, bounds
from tools.settings import ROOT, find_notebooks


@pytest.fixture(scope="module")
def files():
    return archive.contents()


def test_it_holds_every_notebook_and_every_run_that_one_reads(files):
    wanted = set()
    for path in find_notebooks():
        wanted.add(path)
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        source = "\n".join("".join(cell["source"]) for cell in cells)
        for name in re.findall(r'runs\.load\("([^"{]+)"\)', source):
            wanted.add((path.parent / name).resolve())
    assert any(path.suffix == ".json" for path in wanted)
    assert {path.relative_to(ROOT).as_posix() for path in wanted} - set(files) == set()
    assert {"README.md", "requirements.txt", archive.WHEEL} <= set(files)


def test_its_readme_has_the_commands_and_few_lines(files):
    lines = [line for line in files["README.md"].decode().splitlines() if line]
    assert len(lines) <= 10
    assert f"--no-deps {archive.WHEEL}" in "\n".join(lines)


def test_the_wheel_holds_the_library_and_nothing_else(files):
    names = zipfile.ZipFile(io.BytesIO(files[archive.WHEEL])).namelist()
    assert {"reluspec_lib/book.mplstyle", "reluspec_lib/py.typed"} <= set(names)
    folders = {name.split("/")[0] for name in names}
    assert folders == {"reluspec_lib", f"{archive.NAME}.dist-info"}


def test_two_archives_of_one_source_are_the_same(tmp_path, files, monkeypatch):
    monkeypatch.setattr(archive, "contents", lambda: files)
    first = archive.build(tmp_path).read_bytes()
    assert archive.build(tmp_path).read_bytes() == first


def test_the_oldest_packages_are_the_lower_bounds():
    assert "numpy==2.0.*" in bounds.requirements("oldest")
    assert {"numpy", "scikit-learn"} <= set(bounds.requirements("latest"))
