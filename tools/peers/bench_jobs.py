"""The training jobs that `torch_plcr.py bench` times, from the published recipe to the fastest form in PyTorch.

  eager/LAYOUT/SCHEDULE      float32, views in memory and already augmented: only the arithmetic of a step
  inductor/LAYOUT/SCHEDULE   the same with torch.compile of the network
  published                  the published recipe: Pillow and NumPy make the views in worker processes, target table on
                             the host, a forward pass for each view, float32, default memory format; timed with the
                             loading
  amp/SCHEDULE               autocast and channels_last; images on the device, which also augments them; fused update
  compiled/SCHEDULE          the same with views, network and loss through torch.compile (on a GPU with
                             mode="reduce-overhead": recorded as CUDA graphs)
  graph/SCHEDULE             the same with the whole step, update included, recorded as one CUDA graph

In all jobs every view has its own batch-norm statistics. amp, compiled and graph flip, crop and cut boxes but have no
AutoAugment policy, so they do less work than the engine and `published`. Autocast is float16 with dynamic loss scaling on
a GPU, bfloat16 on a CPU.

Needs PyPI: torch (2.15.0 tried), numpy (2.4.6); published: Pillow (13.0.0).
"""

import functools
import itertools
import time

import numpy as np
import torch

import networks
import plcr

LAYOUTS = ("contiguous", "channels_last")
AT_ONCE = ("merged", "three_forwards")  # schedules with a single loss
VARIANTS = (
    *(f"{kind}/{layout}/{schedule}" for kind in ("eager", "inductor") for layout in LAYOUTS
      for schedule in plcr.SCHEDULES),
    "published",
    *(f"{kind}/{schedule}" for kind in ("amp", "compiled", "graph") for schedule in AT_ONCE),
)  # fmt: skip
KINDS = tuple(dict.fromkeys(name.split("/")[0] for name in VARIANTS))
WEIGHT = 0.5  # of the consistency term
IMAGES = 4096  # different ones; beyond that they come again
WORKERS, PREFETCH = 8, 2


def chosen_variants(names, device):
    """The variants that the names stand for: whole names, or their beginnings up to a slash. ValueError, one line."""
    if device == "cpu" and any(name.split("/")[0] == "graph" for name in names):
        raise ValueError("variant graph records a CUDA graph: it needs --device cuda")
    found = []
    for name in names:
        matching = [v for v in VARIANTS if v == name or v.startswith(f"{name}/")]
        if not matching:
            raise ValueError(
                f"no variant '{name}'; there are {', '.join(KINDS)}, and their parts {', '.join(VARIANTS)}"
            )
        found += [v for v in matching if v not in found]
    return found


class Setting:
    """What all jobs share: network, sizes, device, and random images with candidate sets."""

    def __init__(self, network, batch, views, classes, device):
        self.network, self.batch, self.views, self.classes = network, batch, views, classes
        self.device = torch.device(device)
        grey = network == "lenet"
        self.channels, self.size = (1, 28) if grey else (3, 32)
        self.box = 16
        self.mean, self.std = ((0.1307,), (0.3081,)) if grey else ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        self.policy = None if grey else "kPlcrCifarPolicy"

    def module(self, layout):
        torch.manual_seed(1)
        module = networks.parse_network(self.network, self.classes, self.channels, self.size)
        formats = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
        return module.to(self.device, memory_format=formats[layout]).train()

    def optimizer(self, module, **options):
        # The small rate keeps random inputs from diverging; the cost of a step does not depend on it.
        return torch.optim.SGD(module.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4, **options)

    def images(self):
        """uint8 [IMAGES, H, W, C]"""
        rng = np.random.default_rng(1)
        return rng.integers(0, 256, (IMAGES, self.size, self.size, self.channels), dtype=np.uint8)

    def candidates(self, count):
        generator = torch.Generator().manual_seed(2)
        candidates = torch.rand(count, self.classes, generator=generator) < 0.3
        candidates[torch.arange(count), torch.randint(self.classes, (count,), generator=generator)] = True
        return candidates


class ArithmeticOnly:
    """eager and inductor: the same views in every step."""

    def __init__(self, setting, kind, layout, schedule):
        self.includes = "forward, loss, backward, update; float32; no augmentation"
        module = setting.module(layout)
        memory_format = torch.channels_last if layout == "channels_last" else torch.contiguous_format
        shape = (setting.views * setting.batch, setting.channels, setting.size, setting.size)
        images = torch.randn(shape, device=setting.device).contiguous(memory_format=memory_format)
        self.schedule = schedule
        if schedule == "merged":
            plcr.use_per_view_batch_norm(module, setting.views)
            self.views = images
        else:
            self.views = list(images.chunk(setting.views))
        self.forward = torch.compile(module) if kind == "inductor" else module
        self.candidates = setting.candidates(setting.batch).to(setting.device)
        self.targets = plcr.initial_targets(self.candidates)
        self.optimizer = setting.optimizer(module, fused=True)

    def run(self):
        supervised, consistency, self.targets = plcr.plcr_step(
            self.forward, self.optimizer, self.views, self.candidates, self.targets, WEIGHT, plcr.OFFSET["article"],
            self.schedule,
        )  # fmt: skip
        return supervised + WEIGHT * consistency


def reflected(index, size):
    """Of positions up to size - 1 beyond either end, mirrored without repeating the border."""
    index = torch.where(index < 0, -index, index)
    return torch.where(index >= size, 2 * (size - 1) - index, index)


def draws_for(views, images):
    """Random numbers for device_views. Drawn apart from it: what is compiled then has none of its own."""
    return torch.randint(1 << 30, (5, views * len(images), 1), device=images.device)


def device_views(images, draws, box, mean, std):
    """images: uint8 [B, H, W, C] -> float32 [V * B, C, H, W] in channels_last, the weak view first: flipped with
    probability 1/2, cropped out of a border of 4, strong views with a black box; normalised."""
    b, h, w, _ = images.shape
    n, device = draws.shape[1], images.device
    top, left, flip, middle_y, middle_x = draws[0] % 9, draws[1] % 9, draws[2] % 2, draws[3] % h, draws[4] % w
    rows, columns = torch.arange(h, device=device), torch.arange(w, device=device)
    y = reflected(rows + top - 4, h)
    x = reflected(columns + left - 4, w)
    x = torch.where(flip == 1, w - 1 - x, x)
    sample = torch.arange(n, device=device) % b
    out = images[sample[:, None, None], y[:, :, None], x[:, None, :]]
    strong = torch.arange(n, device=device)[:, None] >= b
    in_rows = (rows >= middle_y - box // 2) & (rows < middle_y + box // 2) & strong
    in_columns = (columns >= middle_x - box // 2) & (columns < middle_x + box // 2)
    out = out.masked_fill((in_rows[:, :, None] & in_columns[:, None, :])[..., None], 0)
    return ((out.float() / 255 - mean) / std).permute(0, 3, 1, 2)


class OnDevice:
    """amp, compiled and graph. A step waits for nothing and allocates nothing that a recording could not keep:
    position, targets and loss scale live on the device."""

    def __init__(self, setting, kind, schedule):
        self.device, self.batch, self.views = setting.device, setting.batch, setting.views
        on_gpu = self.device.type == "cuda"
        dtype = torch.float16 if on_gpu else torch.bfloat16
        self.includes = (
            f"flip, crop and Cutout on the device, forward, loss, backward, update, target table; {dtype} autocast; "
            "no AutoAugment policy"
        ).replace("torch.", "")
        module = setting.module("channels_last")
        if schedule == "merged":
            plcr.use_per_view_batch_norm(module, setting.views)
        self.optimizer = setting.optimizer(module, fused=True)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=on_gpu)
        self.pool = torch.from_numpy(setting.images()).to(self.device)
        self.candidates = setting.candidates(IMAGES).to(self.device)
        self.targets = plcr.initial_targets(self.candidates)
        self.order = torch.randperm(IMAGES).to(self.device)
        self.position = torch.zeros(1, dtype=torch.int64, device=self.device)
        self.in_batch = torch.arange(self.batch, device=self.device)
        self.last_loss = torch.zeros((), device=self.device)
        mean, std = (torch.tensor(values, device=self.device) for values in (setting.mean, setting.std))

        def loss(images, draws, candidates, targets):
            views = device_views(images, draws, setting.box, mean, std)
            if schedule != "merged":
                views = list(views.chunk(setting.views))
            with torch.autocast(self.device.type, dtype=dtype):
                return plcr.plcr_loss(module, views, candidates, targets, WEIGHT, plcr.OFFSET["article"])

        # Graphs of torch.compile's own would stand in the way of the one around the whole step.
        mode = "reduce-overhead" if kind == "compiled" and on_gpu else "default"
        self.loss = loss if kind == "amp" else torch.compile(loss, mode=mode)
        self.replay = None
        if kind == "graph":
            self.record()

    def step(self):
        rows = self.order.index_select(0, (self.position + self.in_batch) % IMAGES)
        self.position.add_(self.batch)
        images, candidates, targets = (t.index_select(0, rows) for t in (self.pool, self.candidates, self.targets))
        self.optimizer.zero_grad(set_to_none=True)
        total, _, _, log_ps = self.loss(images, draws_for(self.views, images), candidates, targets)
        self.scaler.scale(total).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.targets.index_copy_(0, rows, plcr.new_targets([p.detach() for p in log_ps], candidates))
        self.last_loss.copy_(total.detach())

    def record(self):
        # On another stream, as recordings are: compiles, and makes what only a first step makes.
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(4):
                self.step()
        torch.cuda.current_stream().wait_stream(stream)
        torch.cuda.synchronize()
        self.optimizer.zero_grad(set_to_none=True)
        self.replay = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.replay):
            self.step()

    def run(self):
        if self.replay is not None:
            self.replay.replay()
        else:
            if self.device.type == "cuda":
                torch.compiler.cudagraph_mark_step_begin()
            self.step()
        return self.last_loss


class PillowSamples(torch.utils.data.Dataset):
    """(index, weak view, strong views ...), the views float32 [C, H, W]; made where they are asked for."""

    def __init__(self, images, setting, length):
        import pillow_views

        self.make_views = functools.partial(pillow_views.weak_and_strong, strong_views=setting.views - 1)
        self.policy = list(pillow_views.read_table(setting.policy)) if setting.policy else None
        self.images, self.length = images, length
        self.mean, self.std = (np.array(values, np.float32) for values in (setting.mean, setting.std))
        self.rng = None

    def __len__(self):
        return self.length

    def __getitem__(self, position):
        if self.rng is None:  # differs from worker to worker
            self.rng = np.random.default_rng(torch.initial_seed())
        index = position % len(self.images)
        views = self.make_views(self.images[index], self.rng, self.policy)
        return index, *(
            torch.from_numpy(((view.astype(np.float32) / np.float32(255) - self.mean) / self.std).transpose(2, 0, 1))
            for view in views
        )


class Published:
    """The published recipe. Its workers deliver in bursts, so that steps are only timed over many of them."""

    def __init__(self, setting, workers=WORKERS):
        self.includes = (
            f"Pillow views (policy included) in {workers} workers, forwards, backward, update, target table; float32"
        )
        self.device, self.workers = setting.device, workers
        self.module = setting.module("contiguous")
        self.optimizer = setting.optimizer(self.module)
        self.candidates = setting.candidates(IMAGES)
        self.targets = plcr.initial_targets(self.candidates).numpy()
        on_gpu = self.device.type == "cuda"
        self.loader = torch.utils.data.DataLoader(
            PillowSamples(setting.images(), setting, setting.batch * 5000), batch_size=setting.batch, shuffle=True,
            num_workers=workers, prefetch_factor=PREFETCH if workers else None, pin_memory=on_gpu, drop_last=True,
        )  # fmt: skip

    def step(self, batch):
        index, *views = batch
        views = [v.to(self.device, non_blocking=True) for v in views]
        candidates = self.candidates[index].to(self.device)
        targets = torch.from_numpy(self.targets[index.numpy()]).to(self.device)
        supervised, consistency, new = plcr.plcr_step(
            self.module, self.optimizer, views, candidates, targets, WEIGHT, plcr.OFFSET["published"]
        )
        self.targets[index.numpy()] = new.cpu().numpy()  # waits for the device
        return supervised + WEIGHT * consistency

    def measure(self, warmup, repeats, seconds):
        """Seconds a step, each the mean of a block; and the last loss."""
        block = max(self.workers, 1)
        # What the workers have made before the first step must be used up.
        warmup = max(warmup, (PREFETCH + 1) * self.workers)
        blocks = max(3, -(-repeats // block))
        batches = iter(self.loader)
        for _ in range(warmup):
            loss = self.step(next(batches))
        times, begin = [], time.perf_counter()
        deadline = begin + seconds
        for done in itertools.count(1):
            for _ in range(block):
                loss = self.step(next(batches))
            now = time.perf_counter()
            times.append((now - begin) / block)
            begin = now
            if done >= blocks and now > deadline:
                return times, float(loss)


def make_job(setting, variant):
    kind, *parts = variant.split("/")
    if kind in ("eager", "inductor"):
        return ArithmeticOnly(setting, kind, *parts)
    return Published(setting) if kind == "published" else OnDevice(setting, kind, *parts)
