"""The tools that verify the book fail when they should."""

import asyncio
import base64
import io
import json
import re
import signal
import subprocess
import sys

import nbformat
import numpy as np
import pytest
from nbformat import v4
from PIL import Image

from tools import mutants, nbval_figures, notebooks, portability, verify
from tools.arithmetic import ARITHMETICS, Arithmetic
from tools.settings import ARITHMETIC, ROOT, environment, find_notebooks

PLOT = """from PIL import Image
from IPython.display import display
display(Image.new("L", (40, 30), {grey}), include=["image/png", "text/plain"])"""


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(array, dtype=np.uint8)).save(buffer, format="png")
    return buffer.getvalue()


def image_output(data):
    return v4.new_output("display_data", data={"image/png": base64.b64encode(data).decode()})


def write(path, *sources):
    nb = v4.new_notebook(cells=[v4.new_code_cell(source) for source in sources])
    path.write_text(notebooks.to_text(notebooks.normalised(nb)), encoding="utf-8")
    return path


# Running and storing notebooks


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    """A run of a notebook that shows something, sleeps, and lets a child compute for a second."""
    child = "import time\nwhile time.process_time() < 1:\n    pass"
    path = write(
        tmp_path_factory.mktemp("first") / "x.ipynb",
        "print(1)\nprint(2)",
        "{'b', 'a'}",
        PLOT.format(grey=3),
        f"import subprocess, sys, time\ndone = subprocess.run([sys.executable, '-c', {child!r}])",
        "import numpy\nx = bytearray(10**8)\ntime.sleep(2)",
        "import os\nprint(*os.times()[:4], file=open('own', 'w'))",
    )
    return asyncio.run(notebooks.execute(path))


def test_storing_twice_gives_the_same_bytes(first_run):
    path = first_run.path
    assert notebooks.store(first_run, path.read_bytes()) == ("stored", [])
    first = path.read_bytes()
    nb = notebooks.read(path)
    assert [cell.execution_count for cell in nb.cells] == [1, 2, 3, 4, 5, 6]
    assert nb.cells[0].outputs[0].text == "1\n2\n"
    assert len(notebooks.figures(nb.cells[2].outputs)) == 1
    assert "execution" not in nb.cells[0].metadata
    assert asyncio.run(notebooks.run_all([path], 1)) == 0
    assert path.read_bytes() == first


def test_a_notebook_that_fails_is_not_stored(tmp_path, capsys):
    path = write(tmp_path / "x.ipynb", "print(1)", "1 / 0")
    before = path.read_bytes()
    assert asyncio.run(notebooks.run_all([path], 1)) == 1
    assert path.read_bytes() == before
    assert "ZeroDivisionError" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [path]


def test_a_notebook_that_changed_while_it_ran_is_not_overwritten(tmp_path):
    path = write(tmp_path / "x.ipynb", "print(1)")
    run = notebooks.Run(path, notebooks.read(path))
    assert notebooks.store(run, b"what it was before")[1] == ["the file changed while it ran"]


def test_time_of_the_processor_and_memory_are_measured_and_limited(first_run):
    usage = first_run.usage
    *own, first, second = map(float, (first_run.path.parent / "own").read_text().split())
    # The time of the kernel and of its child, whatever else the machine does; what it sleeps does
    # not count. All are read off the same clock of the kernel's process, in hundredths of a
    # second: another clock (time.process_time) may differ from it by a tenth.
    assert sum(own) > 0.2
    assert first + second > 0.8
    total = sum(own) + first + second
    assert total - 0.05 < usage.seconds < total + 2
    assert 100 < usage.megabytes < 1000
    assert re.fullmatch(r"OpenBLAS \w+(/\w+)*, numpy \w+", usage.arithmetic)
    assert notebooks.over_limits(usage) == []
    for seconds, megabytes in ((61, 100), (1, 2001)):
        message = notebooks.over_limits(notebooks.Usage(seconds, megabytes))[0]
        assert f"took {seconds} s of processor time and {megabytes} MB" in message
        assert "60 s and 2000 MB" in message


def test_nothing_that_a_shell_sets_reaches_a_notebook(tmp_path, monkeypatch):
    user = tmp_path / "user"
    user.mkdir()
    startup = user / "startup.py"
    startup.write_text("print('from the start-up file')")
    rc = user / "matplotlibrc"
    rc.write_text("lines.linewidth: 20")
    shell = {
        "MPLBACKEND": "Agg",
        "MATPLOTLIBRC": str(rc),
        "PYTHONSTARTUP": str(startup),
        "PYTHONPATH": str(user),
        "PYTHONOPTIMIZE": "1",
        "JUPYTER_PATH": str(user),
        "IPYTHONDIR": str(user),
        "OPENBLAS_CORETYPE": "Nehalem",
        "OPENBLAS_VERBOSE": "2",
        "OMP_NUM_THREADS": "2",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3",
        "SYMPY_USE_CACHE": "no",
    }
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
    path = write(
        tmp_path / "x.ipynb",
        f"import os\nprint([n for n in {sorted(shell)} if os.environ.get(n) == {shell!r}[n]])",
        "import matplotlib.pyplot as plt\nprint(plt.rcParams['lines.linewidth'])",
        "plt.plot([1, 2])\nplt.show()",
    )
    nb = notebooks.read(path)
    nb.cells[2].metadata["mystnb"] = {"figure": {"name": "fig-x"}}
    path.write_text(notebooks.to_text(nb), encoding="utf-8")
    assert notebooks.main(["store", str(path)]) == 0
    nb = notebooks.read(path)
    # The arithmetic of what is stored is chosen, but not by the shell.
    assert nb.cells[0].outputs[0].text == "[]\n"
    assert nb.cells[1].outputs[0].text == "1.5\n"
    assert len(notebooks.all_figures(nb)) == 1


def test_an_environment_keeps_what_is_not_a_setting_of_python():
    base = {"HOME": "x", "PATH": "y", "OPENBLAS_CORETYPE": "Nehalem", "MPLBACKEND": "Agg"}
    assert environment(base).items() >= {"HOME": "x", "PATH": "y", "PYTHONHASHSEED": "0"}.items()
    assert not {"OPENBLAS_CORETYPE", "MPLBACKEND"} & set(environment(base))
    assert environment(base, keep=ARITHMETIC)["OPENBLAS_CORETYPE"] == "Nehalem"


def test_a_run_that_lost_a_figure_is_not_stored(tmp_path, capsys, monkeypatch):
    path = write(tmp_path / "x.ipynb", "pass")
    nb = notebooks.read(path)
    nb.cells[0].metadata["mystnb"] = {"figure": {"name": "fig-x"}}
    lost = notebooks.Run(path, notebooks.read(path))
    lost.nb.cells[0].metadata = nb.cells[0].metadata
    nb.cells[0].outputs = [image_output(png(np.zeros((30, 40))))]
    path.write_text(notebooks.to_text(nb), encoding="utf-8")
    before = path.read_bytes()

    async def execute(path):
        return lost

    monkeypatch.setattr(notebooks, "execute", execute)
    assert asyncio.run(notebooks.run_all([path], 1)) == 1
    assert path.read_bytes() == before
    assert "code cell 1 gave no figure" in capsys.readouterr().out


def test_a_cell_without_an_id_gets_the_same_one_every_time(tmp_path):
    path = write(tmp_path / "x.ipynb", "a = 1", "a = 1")
    raw = json.loads(path.read_text())
    for cell in raw["cells"]:
        del cell["id"]
    path.write_text(json.dumps(raw))
    one, two = ([cell.id for cell in notebooks.read(path).cells] for _ in range(2))
    assert one == two
    assert len(set(one)) == 2


def test_checkpoints_and_built_copies_are_not_notebooks_of_the_book(tmp_path):
    for name in ("a.ipynb", "part/b.ipynb", ".ipynb_checkpoints/a.ipynb", "_build/a.ipynb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in find_notebooks(tmp_path)] == ["a.ipynb", "b.ipynb"]


# The plugin of the nbval run


def test_image_distance():
    grey = np.full((20, 30, 4), 100)
    assert nbval_figures.image_distance(png(grey), png(grey)) == 0
    assert nbval_figures.image_distance(png(grey), png(grey[:-1])) == np.inf
    opaque = grey.copy()
    opaque[..., 3] = 255
    lighter = opaque.copy()
    lighter[..., :3] += 3
    assert nbval_figures.image_distance(png(opaque), png(lighter)) == pytest.approx(3)
    # Only the opacity differs: seen on white although black ink hides it on black.
    ink, faint = np.zeros((2, 20, 30, 4))
    ink[..., 3], faint[..., 3] = 255, 200
    assert nbval_figures.image_distance(png(ink), png(faint)) > 50


def test_a_curve_one_percent_off_is_noticed():
    import matplotlib.figure

    def curve(factor):
        figure = matplotlib.figure.Figure()
        x = np.linspace(0, 3, 200)
        figure.subplots().plot(x, factor * np.sin(4 * x))
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        return buffer.getvalue()

    assert nbval_figures.image_distance(curve(1), curve(1)) == 0
    assert nbval_figures.image_distance(curve(1), curve(1.01)) > nbval_figures.TOLERANCE


def test_nbval_notices_removed_and_replaced_outputs_and_takes_stock(tmp_path):
    path = write(
        tmp_path / f"{tmp_path.name}.ipynb",
        "1 + 1",
        *[PLOT.format(grey=grey) for grey in (10, 20, 30)],
    )
    nb = notebooks.read(path)
    shown = {"text/plain": "<PIL.Image.Image image mode=L size=40x30>"}
    for count, (cell, stored) in enumerate(zip(nb.cells, (None, 10, 30, None), strict=True), 1):
        cell.execution_count = count
        image = image_output(png(np.full((30, 40), stored))) if stored else None
        cell.outputs = [v4.new_output("display_data", data=shown | image.data if image else shown)]
    nb.cells[0].outputs, nb.cells[0].execution_count = [], None
    nbformat.write(nb, path)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA"]
    command += ["--color=no", "--nbval", "--nbval-current-env", "-c", str(ROOT / "pyproject.toml")]
    command += [f"--rootdir={ROOT}", "-p", "tools.nbval_figures", str(path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    kept = notebooks.kept_path(path, 3, 1)
    assert len(notebooks.figures([image_output(kept.read_bytes())])) == 1
    kept.unlink()

    output = result.stdout
    assert result.returncode == 1
    assert "3 failed, 1 passed" in output
    # Where CI is set, pytest says it once more in its summary.
    assert "stored: none" in output.partition("short test summary")[0]
    assert "figure 1 differs from the stored one by RMS 10.0 of 255 (allowed 2)" in output
    assert "make notebooks NB=" in output
    assert re.search(rf"{path.stem}.ipynb +\d+\.\d s +\d+ MB", output)


# Other arithmetics


BOTH = portability.BOTH_POOLS


def arithmetic(name):
    return next(found for found in ARITHMETICS if found.name == name)


def test_an_arithmetic_is_what_python_then_uses(monkeypatch):
    possible = [found for found in ARITHMETICS if not found.missing()]
    assert possible[0].name == "native"
    used = {}
    for chosen in possible:
        # Kernels are those of numpy's and scipy's own library; for the rest numpy's is enough.
        monkeypatch.setattr(portability, "BOTH_POOLS", BOTH if chosen.kernel else "import numpy")
        used[chosen.name] = portability.in_use(chosen.environment())
        assert not chosen.kernel or f"OpenBLAS {chosen.kernel}," in used[chosen.name]
    for name in set(portability.OTHER) & set(used):
        assert used[name] != used["native"]


def test_a_processor_that_cannot_is_told_so(monkeypatch, capsys):
    monkeypatch.setattr(portability, "run", lambda arithmetic, notebooks: (0, "3 passed in 1s"))
    monkeypatch.setattr(portability, "in_use", lambda variables: str(sorted(variables.items())))
    monkeypatch.setattr(
        portability, "ARITHMETICS", [arithmetic("native"), Arithmetic("other", needs=("WINGS",))]
    )
    assert portability.every([]) == 0
    assert "not possible here: no WINGS" in capsys.readouterr().out
    monkeypatch.setattr(portability, "run", lambda arithmetic, notebooks: (1, "1 failed, 2 passed"))
    assert portability.every([]) == 1
    assert "FAILED" in capsys.readouterr().out


def test_another_arithmetic_that_changes_nothing_is_an_error(monkeypatch, capsys):
    monkeypatch.setattr(portability, "in_use", lambda variables: "the same")
    monkeypatch.setattr(portability, "ARITHMETICS", [Arithmetic(portability.OTHER[0])])
    assert portability.other([]) == 1
    assert "as without it" in capsys.readouterr().out


def test_another_arithmetic_shows(tmp_path, capsys):
    a = np.add.outer(np.arange(60.0), np.arange(60.0))
    source = "import numpy as np\na = np.add.outer(np.arange(60.0), np.arange(60.0))"
    path = write(tmp_path / "x.ipynb", source, "print(repr((np.sin(a / 7) @ np.cos(a / 3)).sum()))")
    if arithmetic(portability.OTHER[0]).missing():
        pytest.skip("this processor has one arithmetic only")
    nb = notebooks.read(path)
    text = f"{(np.sin(a / 7) @ np.cos(a / 3)).sum()!r}\n"
    nb.cells[1].outputs = [v4.new_output("stream", name="stdout", text=text)]
    for count, cell in enumerate(nb.cells, 1):
        cell.execution_count = count
    path.write_text(notebooks.to_text(nb), encoding="utf-8")
    alone = ["-n", "0", str(path)]
    code, last = portability.run(arithmetic(portability.OTHER[0]), alone)
    assert (code, "1 failed" in last) == (1, True)
    assert "mismatch 'stdout'" in capsys.readouterr().out


# Mutants


def test_every_module_has_tests_and_every_score_a_module():
    scores = json.loads(mutants.STORED.read_text(encoding="utf-8"))
    for module in mutants.modules():
        assert all((ROOT / name).is_file() for name in mutants.test_files(module))
    assert [name for name in mutants.modules() if name in scores["modules"]] == list(
        scores["modules"]
    )
    for row in scores["modules"].values():
        assert 0 < row["killed"] <= row["mutants"] - row["equivalent"]
        assert row["score"] == round(row["killed"] / (row["mutants"] - row["equivalent"]), 4)
        assert row["score"] >= 0.95


def test_a_score_leaves_out_equivalent_mutants(tmp_path, monkeypatch):
    entries = tmp_path / "equivalent.yml"
    entries.write_text(
        "- {module: sphere, function: f, was: a < b, becomes: [a <= b, a != b], reason: point}\n"
        "- {module: everywhere, was: c=True, becomes: [c=False, ''], reason: it says what holds}"
    )
    monkeypatch.setattr(mutants, "EQUIVALENT", entries)
    found = [
        mutants.Mutant("x_f__mutmut_1", "f", "", "", 1),
        mutants.Mutant("x_f__mutmut_2", "f", "a < b", "a <= b", 0),
        mutants.Mutant("x_f__mutmut_3", "f", "a < b", "a > b", 0),
        mutants.Mutant("x_g__mutmut_1", "g", "a < b", "a <= b", 33),
        mutants.Mutant("x_g__mutmut_2", "g", "", "", -24),
        mutants.Mutant("x_h__mutmut_1", "h", "k(a, c=True)", "k(a, c=False)", 0),
        mutants.Mutant("x_h__mutmut_2", "h", "k(a, c=True)", "k(a, )", 0),
        mutants.Mutant("x_h__mutmut_3", "h", "k(a, c=True)", "k(b, c=True)", 0),
    ]
    monkeypatch.setattr(mutants, "digest", lambda module, root: "0")
    row, alive = mutants.score("sphere", found)
    assert [mutant.name for mutant in alive] == [
        "x_f__mutmut_3",
        "x_g__mutmut_1",
        "x_h__mutmut_3",
    ]
    assert (row["mutants"], row["killed"], row["equivalent"]) == (8, 2, 3)
    assert (row["out_of_time"], row["score"]) == (1, 0.4)
    failed = mutants.Mutant("x_h__mutmut_4", "h", "", "", 255)  # mutmut could not run the tests
    row, _ = mutants.score("sphere", [*found, failed])
    assert (row["unchecked"], row["killed"], row["score"]) == (1, 2, 0.4)


def test_a_run_takes_the_tests_that_are_named(tmp_path):
    source = "import pytest\n@pytest.mark.parametrize('x', [1, 2])\ndef test_x(x): print('ran', x)"
    (tmp_path / "test_a.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-s", "-ptools.mutants", "-pno:cacheprovider"]
    env = environment() | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    for parameter, code, ran in ((2, 0, ["2"]), (3, 4, [])):
        name = f"test_a.py::test_x[{parameter}]"
        done = subprocess.run(
            [*command, name], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        assert done.returncode == code
        assert re.findall(r"ran (\d)", done.stdout) == ran
    # Quick ones first, until the time of a mutant is used up.
    names = [f"test_a.py::test_x[{parameter}]" for parameter in (1, 2)]
    half = mutants.ALLOWED / 2
    for seconds, ran in (((half, half - 1), ["2", "1"]), ((half + 2, half - 1), ["2"])):
        known = {"duration_by_test": dict(zip(names, seconds, strict=True))}
        (tmp_path / mutants.DURATIONS).write_text(json.dumps(known))
        done = subprocess.run(
            [*command, *names], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        assert re.findall(r"ran (\d)", done.stdout) == ran


def test_a_mutant_without_end_is_stopped_soon(tmp_path):
    # mutmut itself would wait for ten times what all tests of the function take.
    (tmp_path / "test_a.py").write_text("def test_x():\n    while True: pass")
    known = {"duration_by_test": {"test_a.py::test_x": 0.0}}
    (tmp_path / mutants.DURATIONS).write_text(json.dumps(known))
    command = [sys.executable, "-m", "pytest", "-ptools.mutants", "-pno:cacheprovider"]
    env = environment() | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [*command, "test_a.py::test_x"], cwd=tmp_path, env=env, capture_output=True
    )
    assert done.returncode == -signal.SIGXCPU
    assert done.returncode in mutants.OUT_OF_TIME


def test_the_hash_of_a_module_is_that_of_its_code(tmp_path):
    path = tmp_path / "reluspec_lib" / "x.py"
    path.parent.mkdir()
    path.write_text('"""Words."""\n\n\ndef f(x):\n    """More."""\n    return x + 1\n')
    one = mutants.digest("x", tmp_path)
    path.write_text("def f(x):  # a comment\n    return x + 1\n")
    assert mutants.digest("x", tmp_path) == one
    path.write_text("def f(x):\n    return x + 2\n")
    assert mutants.digest("x", tmp_path) != one


# The runner of the stages


def stage(name, program, **options):
    return verify.Stage(name, "a test", [[sys.executable, "-c", program]], **options)


def test_the_runner_counts_stages_and_goes_on_after_a_failure(tmp_path, capsys):
    stages = [
        stage("good", "print('fine')"),
        stage("bad", "print('what went wrong'); raise SystemExit(3)"),
        stage("after", "print('it ran')", needs=("bad",)),
        stage("last", "print('done')", needs=("good",)),
    ]
    assert verify.verify(stages, tmp_path) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "2 passed, 2 failed"
    assert "what went wrong" in lines
    assert not any("it ran" in line for line in lines)
    assert any(line.startswith("after") and "needs bad" in line for line in lines)
    assert verify.verify(stages[:1], tmp_path) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 0 failed"


def test_every_command_of_a_stage_counts(tmp_path):
    good, bad = stage("x", "pass").commands[0], stage("x", "raise SystemExit(1)").commands[0]
    assert verify.verify([verify.Stage("x", "a test", [bad, good])], tmp_path) == 1


@pytest.mark.parametrize(
    "last, strict, expected",
    [
        ("12 passed in 3.1s", False, "passed"),
        ("12 passed, 1 skipped in 3.1s", True, "passed"),
        ("no tests ran in 0.1s", False, "failed"),
        ("3 deselected in 0.1s", False, "failed"),
        ("4 skipped in 0.1s", False, "skipped"),
        ("4 skipped in 0.1s", True, "failed"),
    ],
)
def test_a_pytest_that_ran_nothing_has_not_passed(last, strict, expected):
    browser = stage("browser", "", pytest=True, may_skip=True)
    assert verify.verdict(browser, 0, f"dots\n{last}\n", strict=strict)[0] == expected
    if expected == "skipped":
        library = stage("library", "", pytest=True)
        assert verify.verdict(library, 0, last)[0] == "failed"


def test_the_reason_of_a_skip_is_shown():
    browser = stage("browser", "", pytest=True, may_skip=True)
    output = "SKIPPED [2] tests/test_browser.py:9: no Chromium found\n2 skipped in 0.1s\n"
    result, why = verify.verdict(browser, 0, output)
    assert (result, "no Chromium found" in why) == ("skipped", True)


def test_only_known_stages_can_be_chosen(capsys):
    with pytest.raises(SystemExit):
        verify.main(["--only", "lint,nothing"])
    assert "no stage nothing" in capsys.readouterr().err
