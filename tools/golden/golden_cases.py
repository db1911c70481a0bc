"""Cases of golden values: inputs that are drawn until no kink is near, outputs in float64, and how far float32 is off."""

import golden_file
import numpy as np
import torch

KINK_MARGIN = 1e-4


class Kink(Exception):
    """An input lies too close to a point where the derivative jumps."""


def plain(tensor):
    return tensor.detach().double().numpy()


def make_case(name, case, draw_inputs, compute):
    for attempt in range(1000):
        drawn = f"{name}#{attempt}"
        inputs = draw_inputs(drawn, case)
        try:
            outputs = compute(case, inputs, torch.float64)
        except Kink:
            continue
        single = compute(case, inputs, torch.float32)
        deviation = {key: float(np.abs(single[key] - outputs[key]).max()) for key in outputs}
        return inputs, outputs, case | {"name": name, "drawn_as": drawn, "float32_deviation": deviation}
    raise RuntimeError(f"{name}: every draw lies on a kink")


def write_operation(folder, op, generator, table, draw_inputs, compute):
    """table: name -> case. Writes <folder>/<op>.safetensors."""
    tensors, cases = {}, []
    for name, values in table.items():
        inputs, outputs, case = make_case(name, values, draw_inputs, compute)
        overlap = inputs.keys() & outputs.keys()
        assert not overlap, overlap
        tensors |= {f"{name}/{key}": value for key, value in (inputs | outputs).items()}
        cases.append(case)
    path = folder / f"{op}.safetensors"
    golden_file.write(path, tensors, golden_file.metadata(generator, cases))
    print(f"{path}: {len(cases)} cases, {path.stat().st_size} bytes")
