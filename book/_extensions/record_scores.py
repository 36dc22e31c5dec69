"""What is said of the record as a whole: all simulated checks together, and mutation scores."""

from __future__ import annotations

from docutils import nodes
from record_display import Display, Place
from record_figures import pooled_figure
from record_nodes import Nodes, paragraph, row, table, text

from tools.mutants import digest, modules
from tools.record import pool


class PooledZ(Display):
    name = "pooled-z"

    @staticmethod
    def build(place: Place, statements: list[str]) -> nodes.Node:
        simulated = place.env.reluspec_simulated
        if not simulated:
            return paragraph([nodes.Text("No simulated check is stored.")])
        return nodes.raw("", pooled_figure(pool(simulated)), format="html")


class MutationScores(Display):
    name = "mutation-scores"

    @staticmethod
    def build(place: Place, statements: list[str]) -> nodes.Node:
        stored = place.env.reluspec_scores
        if stored is None:
            return paragraph([nodes.Text("No scores are stored; make mutants measures them.")])
        rows = []
        for module in modules():
            score = stored["modules"].get(module)
            if score is None:
                cells: Nodes = [*(nodes.Text("") for _ in range(3))]
                cells.append(text("not measured yet", "not-yet"))
            else:
                counts = (score[key] for key in ("mutants", "killed", "equivalent"))
                cells = [nodes.Text(str(count)) for count in counts]
                changed = score["source"] != digest(module)
                note = " (the module changed since)" if changed else ""
                cells.append(nodes.Text(f"{100 * score['score']:.1f} %{note}"))
            rows.append(row([nodes.literal("", module)], *([cell] for cell in cells)))
        head = ["Module", "Mutants", "Killed", "Equivalent", "Score"]
        return table("Mutation scores", "mutation-table", head, rows, [40, 15, 15, 15, 15])
