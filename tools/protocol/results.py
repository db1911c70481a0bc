"""What a finished run says of itself: summary.json and metrics.csv."""

import csv
import json
import math

PROTOCOLS = {  # which epoch's test accuracy: heading
    "last_epoch": "last epoch",
    "last_ten_epochs": "mean of the last ten",
    "best_epoch": "best epoch (oracle)",
    "covering_rate": "by covering rate",
    "approximated_accuracy": "by approximated accuracy",
    "validation": "by validation labels",
}
# What a setting and an epoch are chosen by: column of metrics.csv, protocol, key that it needs, in words.
RULES = {
    "covering_rate": ("selection_covering_rate", "covering_rate", "data.selection_fraction", "covering rate"),
    "approximated_accuracy": ("selection_approximated_accuracy", "approximated_accuracy", "data.selection_fraction",
                              "approximated accuracy"),
    "validation": ("validation_accuracy", "validation", "data.validation_fraction", "accuracy on validation labels"),
    "oracle": ("test_accuracy", "best_epoch", None, "test accuracy (oracle)"),
}


def number(text):
    """None for an empty field and for what is not a finite number."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


class Results:
    """Of the run in `folder`; made by of(), which says whether it is finished."""

    def __init__(self, folder, summary):
        self.folder, self.summary = folder, summary
        self.seconds = summary["seconds"]
        self.known = {}  # what best() found, by column

    @staticmethod
    def of(folder):
        """None: the run is not finished."""
        try:
            summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return Results(folder, summary)

    def best(self, column):
        """(value, epoch, test accuracy) of the epoch with the largest value, the first among equals; None: no epoch
        has one."""
        if column not in self.known:
            best = None
            try:
                with open(self.folder / "metrics.csv", encoding="utf-8", newline="") as file:
                    for row in csv.DictReader(file):
                        value = number(row.get(column))
                        if value is not None and (best is None or value > best[0]):
                            best = value, int(row["epoch"]), number(row.get("test_accuracy"))
            except OSError:
                pass
            self.known[column] = best
        return self.known[column]

    def accuracy(self, protocol):
        """The test accuracy, from 0 to 1; None: this run has none by this protocol."""
        if protocol == "validation":
            best = self.best(RULES["validation"][0])
            return None if best is None else best[2]
        entry = self.summary.get("protocols", {}).get(protocol)
        return None if entry is None else entry["test_accuracy"]
