"""What a file of tools/sweep says. configs/sweep-example.ini and configs/benchmark/plench.ini explain it."""

import configparser
import itertools
import os
import pathlib
import re

from .files import Wrong, plain
from .presets import PRESETS
from .ranges import Range, items
from .results import PROTOCOLS, RULES

METHOD = "objective.method"
OURS = ("run.seed", "run.name", "run.out_dir", "run.resume")
SWEEP_KEYS = ("configs", "methods", "seeds", "out", "report", "upper_bounds")
SEARCH_KEYS = ("draws", "seed", "seeds", "configs", "choose", "preset", "first", "repeat")


class Case:
    """A configuration: a file and keys that come on top of it."""

    def __init__(self, name, file, settings):
        self.name, self.file, self.settings = name, file, settings
        try:
            with open(file, encoding="utf-8", errors="surrogateescape") as opened:  # a path may be any bytes
                self.text = opened.read()
        except OSError as error:
            raise Wrong(f"{file}: {error.strerror}") from None


class Search:
    """Section [search]."""

    def __init__(self, spec, section):
        spec.no_strangers("search", section, SEARCH_KEYS)
        self.draws = spec.whole(section, "[search] draws", "draws", None, 1)
        self.seed = spec.whole(section, "[search] seed", "seed", "1", 0)
        # run.seed of the runs that a setting is judged by. "each": every seed of the sweep has a choice of its own.
        seeds = section.get("seeds", spec.sweep_seeds[0]).strip()
        self.each_seed = seeds == "each"
        self.seeds = [] if self.each_seed else spec.seeds("[search] seeds", seeds)
        self.configs = spec.listed("[search] configs", section.get("configs", spec.parser["sweep"]["configs"]))
        self.choose = spec.one_of("[search] choose", section.get("choose", "").strip(), RULES)
        preset = section.get("preset", "").strip()
        self.preset = spec.one_of("[search] preset", preset, PRESETS) if preset else None
        # The first draw: the configuration's and the preset's own values, as published; or drawn like the others.
        self.first_is_default = spec.one_of("[search] first", section.get("first", "default").strip(),
                                            ("default", "drawn")) == "default"
        self.all_repeats = spec.one_of("[search] repeat", section.get("repeat", "first").strip(),
                                       ("first", "all")) == "all"


class Spec:
    def __init__(self, path):
        self.path = path
        parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, inline_comment_prefixes=("#", ";"))
        parser.optionxform = str
        try:
            with open(path, encoding="utf-8-sig") as file:
                parser.read_file(file)
        except (OSError, UnicodeDecodeError, configparser.Error) as error:
            raise Wrong(f"{path}: {error}") from None
        self.parser = parser
        plain_sections = {"sweep", "search", "grid", "repeat", "set", "range"}
        for name in parser.sections():
            kind, _, rest = name.partition(" ")
            if name not in plain_sections and not (kind in ("config", "set", "range") and rest.strip()):
                raise self.wrong(f"[{name}] is no section; there are [sweep], [grid], [repeat], [set], [set METHOD], "
                                 "[search], [range], [range METHOD] and [config NAME]")
        if "sweep" not in parser:
            raise self.wrong("there is no section [sweep]")
        sweep = parser["sweep"]
        self.no_strangers("sweep", sweep, SWEEP_KEYS)
        for key in ("configs", "seeds", "out"):
            if not sweep.get(key, "").strip():
                raise self.wrong(f"[sweep] needs {key}")
        self.sweep_seeds = self.seeds("[sweep] seeds", sweep["seeds"])
        self.out = pathlib.Path(sweep["out"].strip())
        self.fixed = self.section("set")
        self.grid = {key: self.listed(key, text) for key, text in self.section("grid").items()}
        if sweep.get("methods", "").strip():
            if METHOD in self.grid or METHOD in self.fixed:
                raise self.wrong(f"[sweep] methods and {METHOD} both name methods")
            self.grid = {METHOD: self.listed("[sweep] methods", sweep["methods"]), **self.grid}
        self.repeat = {key: self.listed(key, text) for key, text in self.section("repeat").items()}
        self.search = Search(self, parser["search"]) if "search" in parser else None
        self.ranges = self.ranges_of("range")
        self.of_methods = {name: (self.section(f"set {name}"), self.ranges_of(f"range {name}"))
                           for name in sorted(self.special("set") | self.special("range"))}
        self.cases = self.read_cases(sweep)
        self.report = self.one_of("[sweep] report", sweep.get("report", "").strip() or self.usual_report(), PROTOCOLS)
        upper = sweep.get("upper_bounds", "").strip()
        self.upper_bounds = self.listed("[sweep] upper_bounds", upper) if upper else []
        self.check()

    def wrong(self, text):
        return Wrong(f"{self.path}: {text}")

    def usual_report(self):
        return RULES[self.search.choose][1] if self.search else "last_epoch"

    def no_strangers(self, name, section, known):
        for key in section:
            if key not in known:
                raise self.wrong(f"[{name}] {key}: unknown; known are {', '.join(known)}")

    def whole(self, section, where, key, default, least):
        text = section.get(key, default)
        if text is None:
            raise self.wrong(f"{where} is missing")
        if not re.fullmatch(r"[0-9]+", text.strip()) or int(text) < least:
            raise self.wrong(f"{where}: '{text}' is not a whole number from {least} on")
        return int(text)

    def one_of(self, where, text, known):
        if text not in known:
            raise self.wrong(f"{where}: '{text}' is not one of {', '.join(known)}")
        return text

    def listed(self, where, text):
        values = items(text)
        if "" in values or len(set(values)) != len(values):
            raise self.wrong(f"{where}: a value is empty or stands twice")
        return values

    def seeds(self, where, text):
        values = self.listed(where, text)
        for seed in values:
            if not re.fullmatch(r"[0-9]+", seed):
                raise self.wrong(f"{where}: '{seed}' is not a whole number")
        return values

    def section(self, name):
        """The keys of a section; they must be keys of the engine that are not ours to set."""
        if name not in self.parser:
            return {}
        for key in self.parser[name]:
            if not re.fullmatch(r"[a-z_]+\.[a-z0-9_]+", key):
                raise self.wrong(f"'{key}' is no key; expected section.key")
            if key in OURS:
                raise self.wrong(f"{key} is set by the sweep")
        return dict(self.parser[name].items())

    def special(self, kind):
        """Names of the sections [kind NAME]."""
        return {name.partition(" ")[2].strip() for name in self.parser.sections() if name.startswith(kind + " ")}

    def ranges_of(self, name):
        return {key: Range(text, f"{self.path}: [{name}] {key}") for key, text in self.section(name).items()}

    def read_cases(self, sweep):
        cases, used = [], set()
        for name in self.listed("[sweep] configs", sweep["configs"]):
            section = f"config {name}"
            if section in self.parser:
                used.add(name)
                file = self.parser[section].get("file", "").strip()
                if not file:
                    raise self.wrong(f"[{section}] needs file, the configuration that it starts from")
                self.parser.remove_option(section, "file")
                settings = self.section(section)
            else:
                file, settings = name, {}
            if not os.path.isfile(file):
                raise self.wrong(f"[sweep] configs: there is no file '{file}'"
                                 + ("" if settings or section in self.parser else f" and no section [{section}]"))
            case = Case(name if section in self.parser else pathlib.Path(file).stem, file, settings)
            case.is_searched = self.search is not None and name in self.search.configs
            cases.append(case)
        unused = self.special("config") - used
        if unused:
            raise self.wrong(f"[config {sorted(unused)[0]}] is not in [sweep] configs")
        if len({plain(case.name) for case in cases}) != len(cases):
            raise self.wrong("[sweep] configs: two files have the same name")
        return cases

    def check(self):
        listed = items(self.parser["sweep"]["configs"])
        for name in self.search.configs if self.search else []:
            if name not in listed:
                raise self.wrong(f"[search] configs: '{name}' is not in [sweep] configs")
        methods = self.grid.get(METHOD, [])
        for name in itertools.chain(self.of_methods, self.upper_bounds):
            if methods and name not in methods:
                raise self.wrong(f"'{name}' has a section or is an upper bound, but is not among the methods: "
                                 f"{', '.join(methods)}")
        if (self.ranges or any(ranges for _, ranges in self.of_methods.values())) and not self.search:
            raise self.wrong("[range] needs a section [search]")
        everywhere = {"[grid]": self.grid, "[repeat]": self.repeat, "[set]": self.fixed, "[range]": self.ranges}
        groups = [everywhere]
        groups += [{**everywhere, f"[config {case.name}]": case.settings} for case in self.cases]
        for name, (settings, ranges) in self.of_methods.items():
            # A method's own section goes before [set] and [range], each before its like.
            groups.append({"[grid]": self.grid, "[repeat]": self.repeat, f"[set {name}]": settings,
                           "[range]": self.ranges})
            groups.append({"[grid]": self.grid, "[repeat]": self.repeat, "[set]": self.fixed,
                           f"[range {name}]": ranges})
            groups.append({f"[set {name}]": settings, f"[range {name}]": ranges})
            groups += [{f"[config {case.name}]": case.settings, f"[set {name}]": settings, f"[range {name}]": ranges}
                       for case in self.cases]
        for group in groups:
            for (one, first), (other, second) in itertools.combinations(group.items(), 2):
                for key in first:
                    if key in second:
                        raise self.wrong(f"{key} stands in {one} and in {other}, which contradict each other")
