"""Calls the loss functions of published codes on the inputs of the golden values and prints how far they are apart.

  git clone https://github.com/wwangwitsel/PLENCH plench       and likewise the others
  python tools/peers/compare_methods.py --plench plench --pop POP --lws LW-loss-for-partial-label --scarce SCARCE
                                        --records RECORDS-LTPLL --cavl CAVL --dirk DIRK

Any of them may be left out. A line for each golden case that a code has a function for: the largest differences of the
loss and of its gradient, relative to the largest golden value, and of rows where a code's function makes them. Nothing
of those codes is part of this project, and nothing here is compared with a bound: what the codes do otherwise is in the
methods' headers. Samples for which a formula divides by 0 are left out.

Needs PyPI: torch (2.15.0), numpy (2.4.6), safetensors (0.8.0).
"""

import argparse
import importlib
import json
import pathlib
import sys
import types

import torch
from safetensors import safe_open

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "golden"))
import methods as formulas  # noqa: E402

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "pll_objective.safetensors"
UNDEFINED_ON_ALL = {"exp", "mcl_log", "mcl_mae", "mcl_mse", "mcl_gce", "mcl_phuber"}
# The views are inside of a function that is not linear: cases of one view alone.
OF_THE_BATCH = {"nn"}


class Absent(types.ModuleType):
    """A module that the published code imports and that its losses do not need."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def load(folder, name):
    """Module `name` of the folder, with stand-ins for what is not installed."""
    sys.path.insert(0, str(folder))
    for loaded in [key for key in sys.modules if key.split(".")[0] == name.split(".")[0]]:
        del sys.modules[loaded]
    while True:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.split(".")[0] == name.split(".")[0]:
                raise
            sys.modules[error.name] = Absent(error.name)
            sys.modules[error.name].__path__ = []
        finally:
            if str(folder) in sys.path and name in sys.modules:
                sys.path.remove(str(folder))


class Case:
    def __init__(self, file, about):
        get = lambda key: file.get_tensor(f"{about['name']}/{key}")  # noqa: E731
        self.name, self.keys, self.views, self.batch = about["name"], about["keys"], about["views"], about["batch"]
        self.classes, self.method = about["classes"], about["method"]
        rows = get("order")[about["first"] : about["first"] + self.batch].long()
        self.mask = get("mask")[rows].double()
        self.row = get("targets")[rows]
        names = set(file.keys())
        self.kept = get("kept")[rows] if f"{self.name}/kept" in names else None
        self.kept_after = get("kept_after")[rows] if self.kept is not None else None
        self.values = get("class_values") if f"{self.name}/class_values" in names else None
        self.logits = get("logits").view(self.views, self.batch, self.classes)
        self.teacher = get("teacher_logits").view_as(self.logits) if f"{self.name}/teacher_logits" in names else None
        self.loss = float(get("metrics")[1]) / self.batch
        self.gradient = get("d_logits").view_as(self.logits) / about["loss_scale"]
        self.row_after = get("targets_after")[rows]
        self.defined = torch.ones(self.batch, dtype=torch.bool)
        if self.method in UNDEFINED_ON_ALL:
            self.defined = self.mask.sum(1) < self.classes

    @property
    def index(self):
        return torch.arange(self.batch)[self.defined]


def stand_in(cls, **members):
    """An object of a class of PLENCH without its network."""
    made = cls.__new__(cls)
    torch.nn.Module.__init__(made)
    for name, value in members.items():
        setattr(made, name, value)
    return made


def pairs(f, mask):
    samples, labels = torch.where(mask == 0)
    return f[samples], labels


def of_plench(code):
    def uniform(case):
        return case.mask / case.mask.sum(1, keepdim=True)

    def estimate(cls):
        return lambda c, f: stand_in(cls, num_classes=c.classes).unbiased_estimator(f, c.mask[c.defined])

    def complementary(function):
        return lambda c, f: function(c, *pairs(f, c.mask))

    return {
        "cc": lambda c, f: code.CC.cc_loss(None, f, c.mask),
        "exp": lambda c, f: code.EXP.exp_loss(stand_in(code.EXP, num_classes=c.classes), f, c.mask[c.defined]),
        "mcl_gce": lambda c, f: estimate(code.MCL_GCE)(c, f) if c.keys["q"] == 0.7 else None,
        "mcl_mse": estimate(code.MCL_MSE),
        "abs_mae": lambda c, f: code.ABS_MAE.mae_loss(
            stand_in(code.ABS_MAE, num_classes=c.classes, label_confidence=uniform(c)), f, c.index, "cpu"
        ),
        "abs_gce": lambda c, f: code.ABS_GCE.gce_loss(
            stand_in(code.ABS_GCE, label_confidence=uniform(c)), f, c.index, "cpu", c.keys["q"]
        ),
        "proden": lambda c, f: code.PRODEN.rc_loss(stand_in(code.PRODEN, label_confidence=c.row), f, c.index),
        "cavl": lambda c, f: code.CAVL.rc_loss(stand_in(code.CAVL, label_confidence=c.kept[:, 0]), f, c.index),
        "pc": complementary(lambda c, f, y: code.PC.pc_loss(None, f, c.classes, y)),
        "forward": complementary(lambda c, f, y: code.Forward.forward_loss(None, f, c.classes, y, "cpu")),
        "scl_exp": complementary(lambda c, f, y: code.SCL_EXP.SCL_EXP_loss(None, f, y)),
        "scl_nl": complementary(lambda c, f, y: code.SCL_NL.SCL_NL_loss(None, f, y)),
        "l_w": complementary(lambda c, f, y: stand_in(code.L_W).w_loss(f, c.classes, y)),
        "op_w": complementary(lambda c, f, y: code.OP_W.OP_W_loss(None, f, c.classes, y)),
        "nn": complementary(
            lambda c, f, y: code.NN.non_negative_loss(None, f, c.classes, y, c.values.numpy(), c.keys["beta"], "cpu")
        ),
    }


def of_pop(code):
    def average(loss):
        return lambda c, f: code.pll_estimator(loss, f, c.mask, "cpu")

    return {
        "abs_mae": average(code.mae_loss),
        "abs_mse": average(code.mse_loss),
        "abs_cce": average(code.cce_loss),
        "abs_gce": lambda c, f: average(code.gce_loss)(c, f) if c.keys["q"] == 0.7 else None,
        "abs_phuber": lambda c, f: average(code.phuber_ce_loss)(c, f) if c.keys["truncation"] == 0.1 else None,
    }


def of_lws(code):
    def leveraged(loss):
        return lambda c, f: loss(f, c.mask, c.kept[:, 0], c.index, c.keys["beta"], 1, None)[0]

    return {
        "cc": lambda c, f: code.cc_loss(f, c.mask),
        "rc": lambda c, f: code.rc_loss(f, c.row, c.index),
        "lws": leveraged(code.lws_loss),
        "lwc": leveraged(code.lwc_loss),
    }


def compare_dirk(code, loss_code, case):
    logits = case.logits.clone().requires_grad_()
    labels = [code.get_correct_conf(torch.softmax(case.teacher[v], dim=1), case.mask) for v in range(case.views)]
    loss = sum(loss_code.CE_loss(logits[v], labels[v]) for v in range(case.views)) / case.views
    loss.backward()
    print(
        f"dirk     {case.name:24} {case.keys['variant']:10} loss {abs(float(loss.detach()) - case.loss) / case.loss:8.1e}  "
        f"gradient {difference(logits.grad, case.gradient):8.1e}"
    )


def difference(got, want):
    return float((got - want).abs().max() / want.abs().max().clamp(min=1e-300))


def compare(source, case, function):
    logits = case.logits.clone().requires_grad_()
    parts = [function(case, logits[v][case.defined]) for v in range(case.views)]
    if any(part is None for part in parts):
        return
    loss = sum(parts) / case.views * case.defined.sum() / case.batch
    loss.backward()
    apart = abs(float(loss.detach()) - case.loss) / max(abs(case.loss), 1e-300)
    variant = case.keys.get("variant", "")
    print(
        f"{source:8} {case.name:24} {variant:10} loss {apart:8.1e}  gradient {difference(logits.grad, case.gradient):8.1e}"
    )


def compare_corr(code, case):
    if case.views != 2:
        return
    logits = case.logits.clone().requires_grad_()
    target = case.row.clone()
    made = code.CORR_loss(target)
    loss = made(logits[0], logits[1], torch.arange(case.batch))
    loss.backward()
    print(
        f"records  {case.name:24} {case.keys['variant']:10} loss {abs(float(loss.detach()) - case.loss) / case.loss:8.1e}  "
        f"gradient {difference(logits.grad, case.gradient):8.1e}  rows {difference(made.confidence, case.row_after):8.1e}"
    )


def compare_rows(source, case, update, dtype=torch.float64):
    rows = update(lambda x: x, case.kept[:, 0].to(dtype), case.logits[0], case.mask, torch.arange(case.batch))
    print(f"{source:8} {case.name:24} {case.keys.get('variant', ''):10} rows {difference(rows, case.kept_after[:, 0]):8.1e}")


def compare_scarce(code):
    """Its function takes one complementary label a sample: a batch of such samples, and the formula of methods.py."""
    torch.manual_seed(1)
    logits, labels = 4 * torch.randn(12, 5), torch.randint(5, (12,))
    mask = torch.nn.functional.one_hot(labels, 5) == 0
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    batch = formulas.Batch(ours[None], mask, mask / 4, None, labels, None, {}, 0, "any")
    loss, published = formulas.scarce(batch).total, code.SCARCE_loss(theirs, labels, "cpu")
    loss.backward()
    published.backward()
    apart = abs(float((loss - published).detach() / loss.detach()))
    print(f"scarce   of methods.py                       loss {apart:8.1e}  gradient {difference(theirs.grad, ours.grad):8.1e}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--golden", type=pathlib.Path, default=GOLDEN)
    for name in ("plench", "pop", "lws", "scarce", "records", "cavl", "dirk"):
        parser.add_argument(f"--{name}", type=pathlib.Path, metavar="FOLDER")
    options = parser.parse_args()
    torch.set_default_dtype(torch.float64)
    with safe_open(options.golden, "pt") as file:
        cases = [Case(file, c) for c in json.loads(file.metadata()["cases"]) if c["compute"] != "f32"]
    sources = {}
    if options.plench:
        sources["plench"] = of_plench(load(options.plench, "plench.core.algorithms"))
    if options.pop:
        sources["pop"] = of_pop(load(options.pop, "utils.utils_loss"))
    if options.lws:
        sources["lws"] = of_lws(load(options.lws, "utils.utils_loss"))
    for source, functions in sources.items():
        for case in cases:
            if case.method in functions and (case.method not in OF_THE_BATCH or case.views == 1):
                compare(source, case, functions[case.method])
    if options.records:
        code = load(options.records, "utils.utils_loss")
        for case in cases:
            if case.method == "corr":
                compare_corr(code, case)
    if options.dirk:
        code, loss_code = load(options.dirk, "model"), load(options.dirk, "utils.utils_loss")
        for case in cases:
            if case.method == "dirk":
                compare_dirk(code, loss_code, case)
    if options.scarce:
        compare_scarce(load(options.scarce, "utils_algo"))
    if options.cavl:
        update = load(options.cavl, "utils.utils_algo").confidence_update
        for case in cases:
            if case.method == "cavl":
                compare_rows("cavl", case, update, torch.float32)
    if options.lws:
        update = load(options.lws, "utils.utils_algo").confidence_update_lw
        for case in cases:
            if case.method in ("lws", "lwc"):
                compare_rows("lws", case, update)


if __name__ == "__main__":
    main()
