"""Print a notebook as text, for ``git diff``: its cells and the text that they printed."""

import json
import sys
from pathlib import Path


def main(path: str) -> None:
    """Print the notebook in a file."""
    for cell in json.loads(Path(path).read_text(encoding="utf-8"))["cells"]:
        tags = cell["metadata"].get("tags", [])
        print(f"# --- {cell['cell_type']}", *tags)
        print("".join(cell["source"]))
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            text = output.get("text", data.get("text/markdown", data.get("text/plain", "")))
            for line in "".join(text).splitlines():
                print("#>", line)


if __name__ == "__main__":
    main(sys.argv[1])
