"""report.html: one self-contained page with the figures over time, the findings as text, and the depth reached."""

import io
import json
from pathlib import Path

from guestproof_dev import duration
from guestproof_dev.fuzz import atomic
from guestproof_dev.fuzz.run import Run
from guestproof_dev.fuzz.worker import read_log

_TEMPLATE = Path(__file__).with_name("report.html.j2")


def write(run: Run, summary: dict) -> None:
    import jinja2

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["time"] = duration.show
    page = environment.from_string(_TEMPLATE.read_text()).render(
        summary=summary, charts=_charts(_series(run.series)),
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


def _charts(points: list[dict]) -> list[tuple[str, str]]:
    if len(points) < 2:
        return []
    names = list(points[-1]["edges"])
    return [("Edges, by each engine's own count", _chart(points, names, lambda point, name: point["edges"].get(name, 0))),
            ("Executions", _chart(points, names, lambda point, name: point["executions"].get(name, 0))),
            ("New inputs", _chart(points, list(points[-1]["corpus"]), lambda point, name: point["corpus"].get(name, 0)))]


def _chart(points: list[dict], names: list[str], value) -> str:
    """The values over time as SVG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for name in names:
        axes.plot([point["t"] / 60 for point in points], [value(point, name) for point in points], label=name)
    axes.set_xlabel("minutes")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small", frameon=False)
    image = io.StringIO()
    figure.savefig(image, format="svg")
    # Without the XML declaration, which HTML does not know.
    return image.getvalue()[image.getvalue().index("<svg"):]
