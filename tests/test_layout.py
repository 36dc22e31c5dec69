"""The rooms: the same in book, library and tests; who imports whom; how long a module is."""

import ast
import io
import json
import subprocess
import sys
import tokenize

import pytest

import reluspec_lib
from tools.settings import BOOK, ROOT

LIBRARY = ROOT / "reluspec_lib"
CORE = ("network", "sphere", "harmonics", "groups", "ledger")
# In the order of the book; each may use those before it.
PARTS = ("theorems", "spectrum", "width", "learning", "proportional", "beyond")

MODULES = [path for path in sorted(LIBRARY.rglob("*.py")) if path != LIBRARY / "__init__.py"]


def folders(path):
    names = {folder.name for folder in path.iterdir() if any(folder.glob("*.*"))}
    return {name for name in names if name.isalpha()}


def test_book_library_and_tests_have_the_same_rooms():
    assert folders(LIBRARY) == {*PARTS, "record"}
    assert folders(BOOK) - {"reference"} == folders(LIBRARY)
    assert folders(ROOT / "tests") - {"pages", "tools"} == folders(LIBRARY)


# --- imports point one way


def room(module):
    """Return the room of a module named without the package, "core" at the top."""
    first = module.partition(".")[0]
    return first if (LIBRARY / first).is_dir() else "core"


def imports(path):
    """Yield each module of the library that a file imports, and whether it does so at once."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    at_once = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        found = []
        package = isinstance(node, ast.ImportFrom) and node.module == "reluspec_lib"
        if package:
            found = [reluspec_lib._MODULES.get(alias.name, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [node.module or "relative"]
        elif isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.Constant) and str(node.value).startswith("reluspec_lib."):
            found = [node.value]  # of import_module
        for name in found:
            if package or name.startswith("reluspec_lib."):
                yield name.removeprefix("reluspec_lib."), id(node) in at_once


def allowed(importer, imported, at_once):
    """Return whether a module may import another one."""
    here, there = room(importer), room(imported)
    if here in PARTS and there in PARTS:
        return PARTS.index(there) <= PARTS.index(here)
    # How a ledger is shown and stored belongs to the record, and is loaded when it is needed.
    return there in ("core", here) or (importer == "ledger" and there == "record" and not at_once)


def wrong_way(paths):
    """Return the imports that point the wrong way."""
    found = []
    for path in paths:
        name = ".".join(path.relative_to(LIBRARY).with_suffix("").parts)
        found += [
            f"{name}: {other}" for other, now in imports(path) if not allowed(name, other, now)
        ]
    return found


def test_a_part_uses_the_core_and_the_parts_before_it():
    assert wrong_way(MODULES) == []


@pytest.mark.parametrize(
    "module, source, found",
    [
        ("spectrum/x", "from reluspec_lib import groups, simulate", ["spectrum.x: width.simulate"]),
        ("sphere", "def f():\n    import reluspec_lib.width.simulate", ["sphere: width.simulate"]),
        ("ledger", "from reluspec_lib.record import stored", ["ledger: record"]),
        ("ledger", "def f():\n    from reluspec_lib.record import stored", []),
        ("record/x", "import_module('reluspec_lib.theorems.x')", ["record.x: theorems.x"]),
        ("width/x", "from reluspec_lib.spectrum.fisher import matrix", []),
        ("width/x", "from reluspec_lib.record import stored", ["width.x: record"]),
    ],
)
def test_an_import_that_points_the_wrong_way_is_found(tmp_path, monkeypatch, module, source, found):
    path = (tmp_path / module).with_suffix(".py")
    for name in (*PARTS, "record"):
        (tmp_path / name).mkdir()
    path.write_text(source)
    monkeypatch.setattr(sys.modules[__name__], "LIBRARY", tmp_path)
    assert wrong_way([path]) == found


def loaded_by(statement):
    """Return the names of the modules that a fresh Python holds after a statement."""
    code = f"import sys\nbefore = set(sys.modules)\n{statement}\nimport json"
    code += "\nprint(json.dumps(sorted(set(sys.modules) - before)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    return set(json.loads(result.stdout))


def test_importing_the_package_loads_no_module():
    loaded = loaded_by("import reluspec_lib")
    assert {name for name in loaded if name.startswith("reluspec_lib")} == {"reluspec_lib"}
    assert "numpy" not in loaded


def test_the_core_loads_no_part_and_needs_numpy_and_scipy_alone():
    loaded = loaded_by(f"from reluspec_lib import {', '.join(CORE)}")
    ours = {name for name in loaded if name.startswith("reluspec_lib.")}
    assert {f"reluspec_lib.{name}" for name in CORE} <= ours
    assert {room(name.removeprefix("reluspec_lib.")) for name in ours} == {"core"}
    packages = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names
    foreign = {name for name in packages if "cython" not in name}  # made up by Cython as it runs
    assert foreign <= {"numpy", "reluspec_lib", "scipy", "threadpoolctl"}


# --- modules are short


def code_lines(text):
    """Return how many lines hold code: neither blank, nor comments alone, nor docstrings."""
    words = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(
            node
        ):
            words.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    layout = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    code = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in layout | {tokenize.COMMENT}:
            code.update(range(token.start[0], token.end[0] + 1))
    return len(code - words)


def test_lines_of_code_are_counted():
    text = '"""Words."""\n\nimport os  # counts\n\n\ndef f():\n    """More.\n\n    """\n    # no\n'
    assert code_lines(text + '    return (\n        """a\n        b"""\n    )\n') == 6


def test_no_module_is_longer_than_350_lines():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: length for name, length in lengths.items() if length > 350} == {}


def test_the_core_has_less_than_700_lines_of_code():
    assert sum(code_lines((LIBRARY / f"{name}.py").read_text()) for name in CORE) < 700
