"""From the votes of annotators to candidate sets."""

import csv
import difflib
import math

from .files import Wrong

COLUMNS = ("annotator", "sample", "label")


def read_rows(path, columns):
    """(line number, {column: value}) of a CSV file with a line of column names, in which others may stand as well."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True, skipinitialspace=True)
            missing = [column for column in columns if column not in (reader.fieldnames or [])]
            if missing:
                raise Wrong(f"{path}: the first line names no column '{missing[0]}'; expected {','.join(columns)}")
            for row in reader:
                if None in row or any(not (row[column] or "").strip() for column in columns):
                    raise Wrong(f"{path}: line {reader.line_num}: expected {','.join(columns)}, each not empty")
                yield reader.line_num, {column: row[column].strip() for column in columns}
    except OSError as error:
        raise Wrong(f"{path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise Wrong(f"{path}: {error}") from None


def read_lines(path):
    """Names, one a line; the number of a line counts from 0."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            names = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Wrong(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if not names:
        raise Wrong(f"{path}: it is empty")
    for number, name in enumerate(names, 1):
        if not name.strip():
            raise Wrong(f"{path}: line {number} is empty")
    twice = [name for name in names if names.count(name) > 1] if len(set(names)) != len(names) else []
    if twice:
        raise Wrong(f"{path}: '{twice[0]}' stands there twice")
    return names


class Numbers:
    """Numbers of samples or classes by name (`names`), or by number where there are no names or none fits. `count`:
    how many, None: any number is right."""

    def __init__(self, what, names, count):
        self.what, self.count = what, len(names) if names else count
        self.by_name = {name.strip(): number for number, name in enumerate(names or [])}

    def of(self, text, where):
        if text in self.by_name:
            return self.by_name[text]
        if text.isascii() and text.isdigit() and (self.count is None or int(text) < self.count):
            return int(text)
        known = f"it is not a number from 0{'' if self.count is None else f' to {self.count - 1}'}"
        if self.by_name:
            near = difflib.get_close_matches(text, self.by_name, 1)
            known += " and no name that is known" + (f"; did you mean '{near[0]}'?" if near else "")
        raise Wrong(f"{where}: unknown {self.what} '{text}': {known}")


class Votes:
    """given[sample][annotator]: the labels. Wrong for what is unknown and for a vote that stands there twice."""

    def __init__(self, path, samples, classes):
        self.given = {}
        for line, row in read_rows(path, COLUMNS):
            where = f"{path}: line {line}"
            sample, label = samples.of(row["sample"], where), classes.of(row["label"], where)
            labels = self.given.setdefault(sample, {}).setdefault(row["annotator"], set())
            if label in labels:
                raise Wrong(f"{where}: {row['annotator']} gave sample {row['sample']} the label {row['label']} before")
            labels.add(label)
        if not self.given:
            raise Wrong(f"{path}: there is no vote")
        self.annotators = sorted({name for labels in self.given.values() for name in labels})


def shares(labels, weights):
    """{label: weight of the annotators who gave it, divided by that of all annotators of the sample}"""
    whole = sum(weights[name] for name in labels)
    found = {}
    for name, own in labels.items():
        for label in own:
            found[label] = found.get(label, 0) + weights[name]
    return {label: weight / whole if whole else 0.0 for label, weight in found.items()}


def read_weights(path, annotators):
    weights = {}
    for line, row in read_rows(path, ("annotator", "weight")):
        where = f"{path}: line {line}"
        try:
            weight = float(row["weight"])
        except ValueError:
            weight = math.nan
        if not (math.isfinite(weight) and weight >= 0):
            raise Wrong(f"{where}: weight '{row['weight']}' is not a number from 0 on")
        if row["annotator"] in weights:
            raise Wrong(f"{where}: '{row['annotator']}' has a weight before")
        weights[row["annotator"]] = weight
    for name in annotators:
        if name not in weights:
            raise Wrong(f"{path}: annotator '{name}' has votes and no weight")
    return weights


def agreement(votes):
    """Weights from the votes: how often one of an annotator's labels is among those that most others gave the sample,
    with one agreement and one disagreement added, so that few votes mean little."""
    agreed, seen = {}, {}
    for labels in votes.given.values():
        for name, own in labels.items():
            others = {other: theirs for other, theirs in labels.items() if other != name}
            if not others:
                continue
            share = shares(others, dict.fromkeys(others, 1))
            most = max(share.values())
            seen[name] = seen.get(name, 0) + 1
            agreed[name] = agreed.get(name, 0) + any(share.get(label) == most for label in own)
    return {name: (1 + agreed.get(name, 0)) / (2 + seen.get(name, 0)) for name in votes.annotators}


class Sets:
    """Candidate sets of `count` samples: all labels whose share is at least `least` (0: every label that was given). Where
    none reaches it the labels with the largest share stay; a sample without votes may be of any class."""

    def __init__(self, votes, weights, least, count, classes):
        self.classes, self.sets, self.shares = classes, [], []
        self.without_votes = self.below = 0
        for sample in range(count):
            labels = votes.given.get(sample)
            if labels is None:
                self.without_votes += 1
                self.sets.append(list(range(classes)))
                self.shares.append([1 / classes] * classes)
                continue
            share = shares(labels, weights)
            chosen = [label for label, value in share.items() if value >= least - 1e-12]
            if not chosen:
                self.below += 1
                most = max(share.values())
                chosen = [label for label, value in share.items() if value == most]
            self.sets.append(sorted(chosen))
            whole = sum(share[label] for label in self.sets[-1])
            # Where nobody of the sample's annotators has weight, their labels are worth the same.
            self.shares.append([share[label] / whole if whole else 1 / len(chosen) for label in self.sets[-1]])

    def text(self):
        """As [candidates] mode = file reads it."""
        lines = [f"# dpll candidates, classes = {self.classes}, count = {len(self.sets)}", "sample,candidates"]
        lines += [f"{sample},{' '.join(map(str, labels))}" for sample, labels in enumerate(self.sets)]
        return "\n".join(lines) + "\n"

    def weights_text(self):
        """As candidates.weights reads it: each candidate's part of the votes for the set."""
        lines = ["sample,weights"]
        for sample, (labels, parts) in enumerate(zip(self.sets, self.shares)):
            lines.append(f"{sample}," + " ".join(f"{label}:{part!r}" for label, part in zip(labels, parts)))
        return "\n".join(lines) + "\n"

    def summary(self):
        mean = sum(map(len, self.sets)) / len(self.sets)
        text = f"{len(self.sets)} samples, {self.classes} classes, mean size {mean:.3f}"
        if self.without_votes:
            text += f"; {self.without_votes} samples without votes have all labels"
        if self.below:
            text += f"; {self.below} samples where no label reached the share have the most voted ones"
        return text
