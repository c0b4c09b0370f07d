"""The pictures of growth.py: a chart of each dimension, as SVG."""
import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plot

# Those of the live page and of reports.
CPU, MEMORY, TEXT, GRID = "#0072b2", "#d55e00", "#1c2530", "#e3e7eb"
# Text stays text, and two drawings of the same numbers are the same file.
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "aqpipe", "font.size": 8, "text.color": TEXT,
                            "axes.edgecolor": "#8a949e", "xtick.color": TEXT, "ytick.color": TEXT, "font.family": "sans-serif"})


def draw(growth, path):
    """CPU to the left, memory to the right, both above what a run of nothing uses; dashed, what in proportion would be."""
    figure, left = plot.subplots(figsize=(3.6, 2.5), layout="constrained")
    right = left.twinx()
    for axes, values, colour, mark, unit, slope in zip((left, right), growth.above, (CPU, MEMORY), "os", ("CPU s", "MiB"), growth.exponents):
        points = [(size, used) for size, used in zip(growth.sizes, values) if used > 0]
        axes.set(xscale="log", yscale="log")
        axes.minorticks_off()
        told = "flat" if slope is None else f"exponent {slope:.2f}"
        axes.set_ylabel(f"{unit} ({told})", color=colour)
        if not points:
            continue
        axes.plot(*zip(*points), color=colour, marker=mark, markersize=3.5, linewidth=1.4)
        (first, _), (last, used) = points[0], points[-1]
        axes.plot((first, last), (used * first / last, used), color=colour, linewidth=0.7, linestyle="--")
    left.grid(color=GRID, linewidth=0.6)
    left.set_axisbelow(True)
    left.set_xlabel(growth.dimension.what.replace("`", ""), fontsize=7, wrap=True)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": "benches/growth.py"})
    plot.close(figure)
