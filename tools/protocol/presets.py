"""Published protocols: fixed keys and ranges of hyper-parameters.

plench: Wang et al., "Realistic Evaluation of Deep Partial-Label Learning Algorithms", ICLR 2025, and its code
(github.com/wwangwitsel/PLENCH, plench/core/hparams_registry.py). Adam at a constant rate; learning rate 10^U(-4.5, -2.5),
weight decay 10^U(-6, -3), batches of 2^5 to 2^7 samples for tabular sets and 2^6 to 2^8 for images; 0.1 of the training
samples are held out. The first setting of each method is its default: rate 1e-3, decay 1e-5, batches of 128 (256). What
is a number of steps there and of epochs here has this engine's default: POP's interval.
"""

RATE, SMALL = "log_uniform 3.16227766e-5 to 3.16227766e-3", "log_uniform 1e-6 to 1e-3"
STEPS = "choice 1e-6 | 1e-5 | 1e-4 | 1e-3 | 1e-2 | 1e-1"

PLENCH_METHODS = {
    "lws": {"lws.beta": "choice 1 | 2"},
    "pop": {"pop.window": "choice 3 | 4 | 5 | 6 | 7", "pop.warm_up": "choice 10 | 15 | 20", "pop.theta": RATE,
            "pop.increase": RATE},
    "fredis": {"fredis.increase": STEPS, "fredis.decrease": STEPS, "fredis.times": "choice 1 | 2 | 3 | 4 | 5",
               "fredis.change_size": "choice 50 | 100 | 300 | 500 | 800 | 1000", "fredis.lambda": "choice 1 | 10",
               "fredis.alpha": "choice 1e-3 | 1e-2 | 1e-1 | 1"},
    "dirk": {"dirk.momentum": "choice 0.5 | 0.9 | 0.99"},
}


def plench(dataset):
    """(fixed keys, keys of the first setting, ranges for every method)."""
    tabular = dataset == "tabular"
    fixed = {"optimiser.kind": "adam", "optimiser.schedule": "constant", "data.selection_fraction": "0.1"}
    first = {"optimiser.lr": "1e-3", "optimiser.weight_decay": "1e-5", "optimiser.batch": "128" if tabular else "256"}
    ranges = {"optimiser.lr": RATE, "optimiser.weight_decay": SMALL,
              "optimiser.batch": "choice 32 | 64 | 128" if tabular else "choice 64 | 128 | 256"}
    return fixed, first, ranges


class Preset:
    """A preset for a data set and a method, without the keys that this dpll_engine does not have (`unknown`)."""

    def __init__(self, name, dataset, method, known):
        fixed, first, ranges = PRESETS[name](dataset)
        ranges = {**ranges, **PLENCH_METHODS.get(method, {})}
        self.unknown = sorted(key for key in {**fixed, **first, **ranges} if key not in known)
        self.fixed = {key: value for key, value in fixed.items() if key in known}
        self.first = {key: value for key, value in first.items() if key in known}
        self.ranges = {key: value for key, value in ranges.items() if key in known}


PRESETS = {"plench": plench}
