"""Facts about the repository: the lock, the Makefile, and that no file tells of a machine."""

import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest

from tools import lock
from tools.notebooks import COVER, LANDING, all_figures, read
from tools.settings import ROOT, find_notebooks

LOCKS = {name: (ROOT / name).read_text() for name in ("requirements.txt", "requirements-test.txt")}
MAKEFILE = (ROOT / "Makefile").read_text()
# Make run by a test must not take part in the make that runs the tests.
ENV = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}


def make(*arguments):
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        env=ENV,
        capture_output=True,
        text=True,
        timeout=60,
    )


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def names(lines):
    """Return the package names that requirement lines begin with."""
    found = (re.match(r"[A-Za-z0-9][\w.-]*", line.strip()) for line in lines)
    return {normal(match[0]) for match in found if match}


def pins(*locks):
    """Return each pinned package of some locks, by default of all, with its number of hashes."""
    found = [entry for name in locks or LOCKS for entry in lock.entries(LOCKS[name])]
    return [(entry.split("==")[0], "==" in entry, entry.count("--hash=sha256:")) for entry in found]


def project_files():
    """Return the files that are, or would be, committed."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        result = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git repository")
    paths = [ROOT / name for name in result.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def texts():
    for path in project_files():
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def test_every_package_is_pinned_with_hashes():
    assert len(pins()) > 50
    assert [name for name, pinned, hashes in pins() if not pinned or not hashes] == []


@pytest.mark.parametrize("text", LOCKS.values(), ids=LOCKS)
def test_a_lock_names_no_index(text):
    assert not re.search(r"://|--(extra-)?index-url|--find-links|^-[if] ", text, re.MULTILINE)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_what_is_named_by_hand(name):
    wanted = names((ROOT / name).with_suffix(".in").read_text().splitlines())
    assert wanted
    assert wanted - {normal(pin) for pin, _, _ in pins(name)} == set()


def test_no_package_is_in_both_locks():
    book, test = ({pin for pin, _, _ in pins(name)} for name in LOCKS)
    assert book & test == set()
    # The driver of a browser is the largest of all.
    assert "playwright" in test


FAKE_UV = """#!/bin/sh
for last in "$@"; do :; done
echo "a==2" >"$last"
case "$*" in *requirements-test.in*) echo "b==1" >>"$last" ;; esac
echo "$@" >>"{log}"
"""


def test_both_locks_come_from_one_resolution(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    uv, log = tmp_path / "bin" / "uv", tmp_path / "log"
    uv.write_text(FAKE_UV.format(log=log))
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{uv.parent}:/usr/bin:/bin")
    for name in ("BOOK_LOCK", "TEST_LOCK"):
        monkeypatch.setattr(lock, name, tmp_path / name)
        (tmp_path / name).write_text("")
    monkeypatch.setattr(lock, "BUILD", tmp_path)
    assert lock.main(["--upgrade"]) == 0
    assert (tmp_path / "BOOK_LOCK").read_text() == "a==2\n"
    assert (tmp_path / "TEST_LOCK").read_text() == "b==1\n"
    whole, book = log.read_text().splitlines()
    assert "--upgrade requirements.in requirements-test.in" in whole
    assert f"requirements.in -c {tmp_path / 'lock.txt'}" in book


def test_the_library_needs_few_packages_and_the_lock_has_its_extras():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert names(project["dependencies"]) == {"numpy", "scipy", "threadpoolctl", "tqdm"}
    extras = project["optional-dependencies"]
    assert set(extras) == {"book", "dask", "sklearn"}
    wanted = names(
        [*project["dependencies"], *(name for extra in extras.values() for name in extra)]
    )
    assert wanted - {normal(name) for name, _, _ in pins("requirements.txt")} == set()


def test_package_version_is_the_one_that_is_cited():
    from reluspec_lib import __version__

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    cited = re.search(r"^version: (\S+)", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert project["version"] == cited[1] == __version__
    assert LANDING.read_text().count(f"reluspec-{__version__}.zip") > 0
    date = re.search(r"^date-released: (\S+)", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert f"## [{__version__}] - {date[1]}" in (ROOT / "CHANGELOG.md").read_text()


def test_no_file_tells_of_a_machine():
    # Written so that this file does not find itself.
    folders = "|".join(["ho" + "me", "Us" + "ers", "ro" + "ot", "wo" + "rk", "t" + "mp"])
    hosts = "|".join(["py" + r"pi\.org", "python" + r"hosted\.org"])
    trace = re.compile(rf"(?<![\w.:/<])/(?:{folders})/[\w.-]+|{hosts}|[A-Z]:\\Us" + "ers")
    found = []
    for path, text in texts():
        if path.suffix == ".ipynb":  # base64 holds any string by chance
            text = re.sub(r'"image/png": "[^"]*"', "", text)
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in trace.finditer(text)]
    assert found == []


def test_text_files_end_with_one_newline_and_no_line_with_blanks():
    bad = [
        str(path.relative_to(ROOT))
        for path, text in texts()
        if path.suffix in {".py", ".md", ".yml", ".yaml", ".toml", ".sh", ".css", ".js", ".cff", ""}
        and text
        and (not text.endswith("\n") or text.endswith("\n\n") or re.search(r"[ \t]\n", text))
    ]
    assert bad == []


def test_all_notebooks_are_in_the_table_of_contents():
    toc = (ROOT / "_toc.yml").read_text()
    listed = set(re.findall(r"(?:root|file): *(\S+)", toc))
    stems = {str(path.relative_to(ROOT).with_suffix("")) for path in find_notebooks()}
    assert stems - listed == set()


def test_help_lists_every_target():
    targets = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[1].split()
    assert set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)) == set(targets)
    listed = re.findall(r"^make (\S+) +\S", make("help").stdout, re.MULTILINE)
    assert listed == targets
    assert make().stdout == make("help").stdout


@pytest.mark.parametrize("target", ["book", "test"])
def test_an_unsuitable_python_gives_one_line(target, tmp_path):
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    result = make(target, f"PYTHON={old}")
    lines = (result.stdout + result.stderr).splitlines()
    assert result.returncode != 0
    assert len(lines) == 1
    assert re.search(rf"needs Python 3\.11 to 3\.14.*{re.escape(str(old))} is not", lines[0])


FAKE_PYTHON = """#!/bin/sh
echo "$@" >>"{log}"
case "$1 $2" in
"-m venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
"-c "*) echo 3.12 ;;
esac
"""


SET_UP = ("tools/setup.sh", "pyproject.toml", *LOCKS)


def test_set_up_is_done_once_and_again_after_a_change(tmp_path):
    log = tmp_path / "log"
    python = tmp_path / "python3"
    python.write_text(FAKE_PYTHON.format(log=log))
    python.chmod(0o755)
    (tmp_path / "tools").mkdir()
    for name in SET_UP:
        shutil.copy(ROOT / name, tmp_path / name)

    def calls(*arguments):
        log.write_text("")
        command = ["tools/setup.sh", "install", str(python), *arguments]
        subprocess.run(command, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, check=True)
        return [line for line in log.read_text().splitlines() if line.startswith("-m")]

    def change(name):
        with (tmp_path / name).open("a") as file:
            file.write("# changed")

    venv, pinned, package = calls()
    assert venv == "-m venv .venv"
    assert pinned.endswith("--require-hashes -r requirements.txt")
    assert "--no-deps --no-build-isolation -e ." in package
    assert calls() == []
    (checks,) = calls("test")
    assert checks.endswith("--require-hashes -r requirements.txt -r requirements-test.txt")
    assert calls("test") == calls() == []
    change("pyproject.toml")
    assert calls() == [package]
    change("requirements.txt")
    assert calls() == [venv, pinned, package]
    assert calls("test") == [checks]
    # The book does not wait for packages that it does not use.
    change("requirements-test.txt")
    assert calls() == []
    assert calls("test") == [venv, pinned, package, checks]


def test_set_up_leaves_an_environment_that_it_did_not_make(tmp_path):
    (tmp_path / "tools").mkdir()
    for name in SET_UP:
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "mine").write_text("mine")
    command = ["tools/setup.sh", "install", shutil.which("python3")]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 1
    assert "is not from make: move it away" in result.stderr
    assert (tmp_path / ".venv" / "mine").read_text() == "mine"


def test_a_diff_of_a_notebook_is_text():
    command = [sys.executable, "tools/notebook_text.py", str(LANDING)]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "# --- markdown\n# What a random ReLU network learns" in text
    assert "image/png" not in text
    assert "*.ipynb linguist-documentation diff=notebook" in (ROOT / ".gitattributes").read_text()


def test_ci_runs_exactly_make_test():
    ci = (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    commands = re.findall(r"^(?:exec )?make .*$", ci, re.MULTILINE)
    assert commands == ["exec make test ALL=1 </dev/null"]


def test_the_picture_in_the_readme_is_the_one_on_the_landing_page():
    assert COVER.read_bytes() == all_figures(read(LANDING))[0]
    assert str(COVER.relative_to(ROOT)) in (ROOT / "README.md").read_text()
