"""report.html: one self-contained page with the figures over time, the findings as text, and the depth reached."""

import io
import json
import math
from pathlib import Path

from guestproof_dev import duration
from guestproof_dev.fuzz import atomic
from guestproof_dev.fuzz.run import Run
from guestproof_dev.fuzz.worker import read_log

_TEMPLATE = Path(__file__).with_name("report.html.j2")
_COLUMNS = 4  # small figures beside each other


def write(run: Run, summary: dict) -> None:
    import jinja2

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["time"] = duration.show
    page = environment.from_string(_TEMPLATE.read_text()).render(
        summary=summary, charts=charts(_series(run.series)),
        texts={finding["id"]: _texts(Path(finding["folder"])) for finding in summary["findings"]})
    atomic.write(run.report, page.encode())


def _texts(folder: Path) -> dict[str, str]:
    return {"scenario": read_log(folder / "scenario.txt", 1 << 16), "report": read_log(folder / "report.txt", 1 << 16)}


def _series(path: Path) -> list[dict]:
    """The points in the file; a line that a kill -9 cut short is none."""
    points = []
    for line in read_log(path, 1 << 24).splitlines():
        try:
            points.append(json.loads(line))
        except ValueError:
            continue
    return points


def charts(points: list[dict]) -> list[tuple[str, str]]:
    if len(points) < 2:
        return []
    names = list(points[-1]["edges"])
    return [("Edges, by each engine's own count", _chart(points, names, lambda point, name: point["edges"].get(name, 0))),
            ("Executions", _chart(points, names, lambda point, name: point["executions"].get(name, 0))),
            ("New inputs", _chart(points, list(points[-1]["corpus"]), lambda point, name: point["corpus"].get(name, 0)))]


def _chart(points: list[dict], names: list[str], value) -> str:
    """The values over time as SVG: a small figure for each target, in it a line for each engine and sanitizer."""
    from matplotlib.figure import Figure

    targets: dict[str, list[str]] = {}
    for name in names:
        targets.setdefault(name.partition("-")[0], []).append(name)
    columns = min(_COLUMNS, len(targets) + 1)  # one for the legend
    rows = math.ceil((len(targets) + 1) / columns)
    figure = Figure(figsize=(9, 0.5 + 1.5 * rows), layout="constrained")
    places = figure.subplots(rows, columns, sharex=True, squeeze=False).flatten()
    minutes = [point["t"] / 60 for point in points]
    for (target, lines), place in zip(targets.items(), places):
        for name in lines:
            place.plot(minutes, [value(point, name) for point in points], label=name.partition("-")[2])
        place.set_title(target, fontsize="small")
        place.set_ylim(bottom=0)
        place.tick_params(labelsize="x-small")
        place.grid(alpha=0.3)
    for place in places[len(targets):]:
        place.set_axis_off()
    handles, labels = places[0].get_legend_handles_labels()
    if labels:
        places[len(targets)].legend(handles, labels, loc="center", frameon=False)
    figure.supxlabel("minutes", fontsize="small")
    image = io.StringIO()
    figure.savefig(image, format="svg")
    # Without the XML declaration, which HTML does not know.
    return image.getvalue()[image.getvalue().index("<svg"):]
