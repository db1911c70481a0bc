"""Tables as Markdown, CSV and LaTeX."""

import csv
import io

from .results import PROTOCOLS, RULES
from .spec import METHOD
from .welch import Sample, welch

SIGNIFICANT = 0.05


def as_csv(rows):
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def as_markdown(header, rows):
    cells = [[cell.replace("|", "\\|") for cell in row] for row in [header, ["---"] * len(header), *rows]]
    return "".join("| " + " | ".join(row) + " |\n" for row in cells)


def as_latex(header, rows, names):
    """`names`: how many columns are names, the others are numbers."""
    special = str.maketrans({"%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#", "$": r"\$", "±": r"$\pm$",
                             "•": r"$\bullet$"})

    def cell(text):
        bold = text.startswith("**")
        text = text.strip("*").translate(special)
        return rf"\textbf{{{text}}}" if bold else text

    lines = [" & ".join(map(cell, row)) + r" \\" for row in [header, *rows]]
    columns = "l" * names + "r" * (len(header) - names)
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", r"\hline", lines[0], r"\hline", *lines[1:], r"\hline",
                      r"\end{tabular}", ""])


def heading(key):
    return "method" if key == METHOD else key


def text_of(sample, digits):
    """mean ± deviation; the sample standard deviation needs two values."""
    if not sample.n:
        return "-"
    text = f"{sample.mean:.{digits}f}"
    return text if sample.deviation is None else f"{text} ± {sample.deviation:.{digits}f}"


class Measured:
    """A row of the tables with its finished runs."""

    def __init__(self, row):
        self.row = row
        self.results = [job.results() for job in row.final_jobs() if job.results() is not None]
        self.of = {protocol: self.sample(protocol) for protocol in PROTOCOLS}
        self.seconds = Sample([one.seconds for one in self.results])
        self.names = [row.case.name, *row.values.values()]

    def sample(self, protocol):
        """Test accuracies in percent."""
        known = [one.accuracy(protocol) for one in self.results]
        return Sample([100 * accuracy for accuracy in known if accuracy is not None])


def compare(plan, measured, protocol):
    """{row: (is best, p against the best or None)} for every row that has a result, among the methods of the same
    configuration and values. Upper bounds are no rivals."""
    groups = {}
    for one in measured:
        rest = tuple(value for key, value in one.row.values.items() if key != METHOD)
        groups.setdefault((one.row.case.name, rest), []).append(one)
    verdicts = {}
    for group in groups.values():
        rivals = [one for one in group if one.of[protocol].n and one.row.method not in plan.spec.upper_bounds]
        if not rivals or METHOD not in plan.spec.grid:
            continue
        best = max(rivals, key=lambda one: one.of[protocol].mean)
        for one in rivals:
            test = welch(best.of[protocol], one.of[protocol])
            verdicts[one.row] = one is best, None if one is best or test is None else test[2]
    return verdicts


def table(plan, measured):
    """Header and rows: a row of the grid, the columns the protocols that any run has."""
    shown = [protocol for protocol in PROTOCOLS if any(one.of[protocol].n for one in measured)] or ["last_epoch"]
    header = ["config", *map(heading, plan.spec.grid), "n", *(f"{PROTOCOLS[one]}, %" for one in shown), "time, s"]
    rows = []
    for one in measured:
        cells = []
        for protocol in shown:
            sample = one.of[protocol]
            text = text_of(sample, 2)
            if sample.error is not None:
                text += f" (se {sample.error:.2f})"
            cells.append(text if sample.n in (0, len(one.results)) else f"{text} (n = {sample.n})")
        rows.append([*one.names, str(len(one.results)), *cells, text_of(one.seconds, 1)])
    return header, rows


def table_of_numbers(plan, measured):
    """For programs: a row for each row of the grid and protocol."""
    rows = [["config", *map(heading, plan.spec.grid), "protocol", "oracle", "n", "mean", "standard_deviation",
             "standard_error", "best", "p_against_best", "seconds"]]
    for protocol in PROTOCOLS:
        verdicts = compare(plan, measured, protocol)
        for one in measured:
            sample = one.of[protocol]
            if sample.n:
                best, p = verdicts.get(one.row, (False, None))
                numbers = [sample.mean, sample.deviation, sample.error]
                rows.append([*one.names, protocol, "yes" if protocol == "best_epoch" else "no", sample.n,
                             *("" if x is None else f"{x:.6g}" for x in numbers), "yes" if best else "no",
                             "" if p is None else f"{p:.4g}", f"{one.seconds.mean:.3f}"])
    return rows


def comparison(plan, measured, protocol):
    """Header and rows: methods x (configuration, other values of the grid). Then the rows with seconds a run."""
    methods = plan.spec.grid[METHOD]
    others = [key for key in plan.spec.grid if key != METHOD]
    columns = list(dict.fromkeys((one.row.case.name, *(one.row.values[key] for key in others)) for one in measured))
    cells = {((one.row.case.name, *(one.row.values[key] for key in others)), one.row.values[METHOD]): one
             for one in measured}
    verdicts = compare(plan, measured, protocol)
    header = ["method", *(", ".join([name, *(f"{key.split('.')[1]} {value}" for key, value in zip(others, values))])
                          for name, *values in columns)]
    rows, of_times = [], []
    for method in methods:
        texts, times = [], []
        for column in columns:
            one = cells[column, method]
            sample, (best, p) = one.of[protocol], verdicts.get(one.row, (False, None))
            text = text_of(sample, 2)
            if sample.error is not None:
                text += f" (se {sample.error:.2f}, n = {sample.n})"
            texts.append(f"**{text}**" if best else f"{text} •" if p is not None and p < SIGNIFICANT else text)
            times.append(text_of(one.seconds, 1))
        label = f"{method} (upper bound)" if method in plan.spec.upper_bounds else method
        rows.append([label, *texts])
        of_times.append([label, *times])
    return header, rows, of_times


def note_of(plan, protocol):
    """What stands below the comparison."""
    note = f"Test accuracy in %, mean ± standard deviation (standard error, n); epoch: {PROTOCOLS[protocol]}."
    search = plan.spec.search
    if search:
        where = " on " + ", ".join(search.configs) if len(search.configs) < len(plan.spec.cases) else ""
        alone = ", for each seed alone" if search.each_seed else ""
        note += f" Settings{where}: the best of {search.draws} draws by {RULES[search.choose][3]}{alone}."
    note += f" Bold: the best; •: significantly below it (Welch's t-test, p < {SIGNIFICANT})."
    if protocol == "best_epoch" or (search and search.choose == "oracle"):
        note += " Oracle: true labels of the test set chose; no fair result."
    return note


def table_of_runs(plan):
    spec = plan.spec
    rows = [["run", "config", *spec.grid, *spec.repeat, "seed", *(["draw"] if spec.search else []), *PROTOCOLS,
             "seconds"]]
    for job in plan.finished():
        results = job.results()
        known = [results.accuracy(protocol) for protocol in PROTOCOLS]
        rows.append([job.name, job.case.file, *job.values.values(), job.seed, *([job.number] if spec.search else []),
                     *("" if x is None else x for x in known), results.seconds])
    return rows


def table_of_draws(plan):
    """What the search found: a row for each row of the grid, choice and draw."""
    spec = plan.spec
    searched = [row for row in plan.rows if row.draws is not None]
    keys = list(dict.fromkeys(key for row in searched for drawn in row.draws for key in drawn))
    rows = [["config", *map(heading, spec.grid), "seeds", "draw", "chosen", spec.search.choose, "epochs", *keys]]
    for row in searched:
        for seeds, _ in row.groups():
            chosen = row.chosen(seeds)
            for number, drawn in enumerate(row.draws):
                score, best = row.score(number, seeds)
                rows.append([row.case.name, *row.values.values(), " ".join(seeds), number,
                             "yes" if number == chosen else "no", "" if score is None else f"{score:.6g}",
                             " ".join(str(epoch) for _, epoch, _ in best), *(drawn.get(key, "") for key in keys)])
    return rows


def all_tables(plan):
    """{file name: text}"""
    measured = [Measured(row) for row in plan.rows]
    header, rows = table(plan, measured)
    files = {"table.md": as_markdown(header, rows), "table.csv": as_csv(table_of_numbers(plan, measured)),
             "table.tex": as_latex(header, rows, 1 + len(plan.spec.grid)), "runs.csv": as_csv(table_of_runs(plan))}
    if len(plan.spec.grid.get(METHOD, [])) > 1:
        header, rows, of_times = comparison(plan, measured, plan.spec.report)
        note = note_of(plan, plan.spec.report)
        times = as_markdown(["seconds a run", *header[1:]], of_times)
        files["comparison.md"] = as_markdown(header, rows) + f"\n{note}\n\n{times}"
        files["comparison.csv"] = as_csv([header, *([cell.strip("*") for cell in row] for row in rows)])
        files["comparison.tex"] = as_latex(header, rows, 1) + f"% {note}\n"
    if plan.spec.search:
        files["search.csv"] = as_csv(table_of_draws(plan))
    return files
