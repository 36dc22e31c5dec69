"""The tools that verify the book fail when they should."""

import asyncio
import base64
import hashlib
import io
import json
import subprocess
import sys

import nbformat
import numpy as np
import pytest
from nbformat import v4
from PIL import Image

from tools import nbval_figures, notebooks, verify
from tools.settings import ROOT, find_notebooks

PLOT = """import io
from PIL import Image
from IPython.display import display
display(Image.new("L", (40, 30), {grey}))"""


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


def test_storing_twice_gives_the_same_bytes(tmp_path):
    path = write(tmp_path / "x.ipynb", "print(1)\nprint(2)", "{'b', 'a'}", PLOT.format(grey=3))
    assert asyncio.run(notebooks.run_all("store", [path], 1)) == 0
    first = path.read_bytes()
    nb = notebooks.read(path)
    assert [cell.execution_count for cell in nb.cells] == [1, 2, 3]
    assert nb.cells[0].outputs[0].text == "1\n2\n"
    assert len(notebooks.figures(nb.cells[2].outputs)) == 1
    assert "execution" not in nb.cells[0].metadata
    assert asyncio.run(notebooks.run_all("store", [path], 1)) == 0
    assert path.read_bytes() == first


def test_a_notebook_that_fails_is_not_stored(tmp_path, capsys):
    path = write(tmp_path / "x.ipynb", "print(1)", "1 / 0")
    before = path.read_bytes()
    assert asyncio.run(notebooks.run_all("store", [path], 1)) == 1
    assert path.read_bytes() == before
    assert "ZeroDivisionError" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [path]


def test_a_notebook_that_changed_while_it_ran_is_not_overwritten(tmp_path):
    path = write(tmp_path / "x.ipynb", "print(1)")
    run = notebooks.Run(path, notebooks.read(path))
    assert notebooks.store(run, b"what it was before")[1] == ["the file changed while it ran"]


def test_time_and_memory_are_measured_and_limited(tmp_path):
    path = write(tmp_path / "x.ipynb", "import time\ntime.sleep(0.3)", "x = bytearray(10**8)")
    run = asyncio.run(notebooks.execute(path))
    assert run.seconds > 0.3
    assert 100 < run.megabytes < 1000
    assert len(run.nb.cells) == 2
    assert notebooks.over_limits(run) == []
    for run.seconds, run.megabytes in ((61, 100), (1, 2001)):
        message = notebooks.over_limits(run)[0]
        assert f"took {run.seconds} s and {run.megabytes} MB" in message
        assert "60 s and 2000 MB" in message


def test_a_cell_without_an_id_gets_the_same_one_every_time(tmp_path):
    path = write(tmp_path / "x.ipynb", "a = 1", "a = 1")
    raw = json.loads(path.read_text())
    for cell in raw["cells"]:
        del cell["id"]
    path.write_text(json.dumps(raw))
    one, two = ([cell.id for cell in notebooks.read(path).cells] for _ in range(2))
    assert one == two
    assert len(set(one)) == 2


def test_figures_are_compared_byte_by_byte_with_those_of_the_nbval_run(tmp_path):
    path, record = write(tmp_path / "x.ipynb", "plot()"), tmp_path / "x.json"
    nb = notebooks.read(path)
    nb.cells[0].outputs = [image_output(png(np.zeros((4, 4))))]
    assert "run the nbval stage first" in notebooks.compare_figures(path, nb, record)[0]

    content = {
        "notebook": hashlib.sha256(path.read_bytes()).hexdigest(),
        "figures": {"0": notebooks.digests(nb.cells[0].outputs)},
    }
    record.write_text(json.dumps(content))
    assert notebooks.compare_figures(path, nb, record) == []

    nb.cells[0].outputs = [image_output(png(np.eye(4)))]
    assert "not byte-identical" in notebooks.compare_figures(path, nb, record)[0]
    nb.cells[0].outputs = []
    assert "0 figures here, 1 in the nbval run" in notebooks.compare_figures(path, nb, record)[0]

    write(path, "other()")
    assert "changed since" in notebooks.compare_figures(path, nb, record)[0]


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


def test_nbval_notices_removed_and_replaced_outputs_and_records_figures(tmp_path):
    path = write(
        tmp_path / f"{tmp_path.name}.ipynb",
        "1 + 1",
        *[PLOT.format(grey=grey) for grey in (10, 20, 30)],
    )
    assert asyncio.run(notebooks.run_all("store", [path], 1)) == 0
    nb = notebooks.read(path)
    nb.cells[0].outputs, nb.cells[0].execution_count = [], None
    nb.cells[2].outputs = [
        v4.new_output(
            "display_data",
            data=nb.cells[2].outputs[0].data
            | {"image/png": nb.cells[3].outputs[0].data["image/png"]},
        )
    ]
    del nb.cells[3].outputs[0].data["image/png"]
    nbformat.write(nb, path)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA"]
    command += ["--color=no", "--nbval", "--nbval-current-env", "-c", str(ROOT / "pyproject.toml")]
    command += [f"--rootdir={ROOT}", "-p", "tools.nbval_figures", str(path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    record = notebooks.record_path(path)
    recorded = json.loads(record.read_text())["figures"]
    for left in record.parent.glob(f"{path.stem}*"):
        left.unlink()

    output = result.stdout
    assert result.returncode == 1
    assert "3 failed, 1 passed" in output
    # Where CI is set, pytest says it once more in its summary.
    assert "stored: none" in output.partition("short test summary")[0]
    assert "figure 1 differs from the stored one by RMS 10.0 of 255 (allowed 2)" in output
    assert "make notebooks NB=" in output
    assert sorted(recorded) == ["1", "2", "3"]
    assert len({digest for [digest] in recorded.values()}) == 3


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
