"""The rules of the house: imports go down only, the engine stays light, files stay small."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# The floor on which each module of `planner` stands. A module may import modules of its own
# floor (never in a circle) and of the floors below. A new module gets its floor here.
RANKS = {
    "arrays": 0,
    "coded_columns": 0,
    "errors": 0,
    "exits": 0,
    "explanation": 0,
    "on_demand": 0,
    "output": 0,
    "references": 0,
    "software": 0,
    "sources": 0,
    "spec_folders": 0,
    "units": 0,
    "version": 0,
    "hardware": 1,
    "model": 1,
    "cost": 2,
    "importers": 2,
    "engines": 3,
    "serving": 4,
    "attention_io": 5,
    "assumptions": 5,
    "charts": 5,
    "comparison": 5,
    "crossovers": 5,
    "deployment": 5,
    "equipment": 5,
    "explain": 5,
    "explain_limits": 5,
    "explain_pool": 5,
    "fewest": 5,
    "fleet": 5,
    "fleet_costs": 5,
    "layouts": 5,
    "explain_steps": 5,
    "operation_table": 5,
    "offloading": 5,
    "palette": 5,
    "phases": 5,
    "plan": 5,
    "scenario": 5,
    "scenario_options": 6,
    "served_prediction": 5,
    "served_sites": 5,
    "served_table": 5,
    "service": 5,
    "service_charts": 5,
    "service_simulation": 5,
    "service_tables": 5,
    "sizing": 5,
    "sweep": 5,
    "tables": 5,
    "trials": 5,
    "variants": 5,
    "verdict": 5,
    "claims": 6,
    "cli": 6,
    "engine_flags": 6,
    "report": 6,
    "service_cli": 6,
    "service_inputs": 6,
    "service_options": 6,
    "ui": 6,
}
# `planner/__init__.py` offers the public names; only the top floor goes through that door.
FACADE = "planner"
FACADE_RANK = 5
# `python -m planner`
ENTRY = "__main__"
ENTRY_RANK = 7

# What each part may import beside the standard library and this repository.
CORE_LIBRARIES = {"click", "numpy", "pydantic", "pydantic_core", "yaml"}
EXTRA_LIBRARIES = {
    "report": {"jinja2", "markupsafe", "typst", "xlsxwriter"},
    "ui": {"pandas", "plotly", "streamlit"},
}

# Never loaded by `import planner` or `import planner.cli`.
HEAVY = {
    "pandas",
    "plotly",
    "streamlit",
    "torch",
    "transformers",
    "triton",
    "typst",
    "validation",
}

# A place in `planner` as text: what `planner.on_demand` loads when it is first asked for.
PLACE = re.compile(r"planner(\.\w+)+:\w+")

MOST_LINES = 400
VAGUE_NAMES = {"common", "constants", "helper", "helpers", "misc", "util", "utils"}


@dataclass(frozen=True)
class Import:
    """`importer` asks for `module` (both dotted) on a line of a file."""

    importer: str
    module: str
    where: str
    for_types_only: bool = False


def python_files(package: str, root: Path = ROOT) -> list[Path]:
    return sorted((root / package).rglob("*.py"))


def dotted(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, root: Path = ROOT) -> Iterator[Import]:
    """Every import of a file, also inside functions, as absolute dotted names.

    `from planner import units` counts as an import of `planner.units` where that is a module, and
    of the package itself where it is a name. So does a text that names a place in `planner`, such
    as "planner.units:GIB", which `planner.on_demand` loads later.
    """
    importer = dotted(path, root)
    package = importer if path.name == "__init__.py" else importer.rpartition(".")[0]
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        where = f"{path.relative_to(root)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Constant) and PLACE.fullmatch(str(node.value)):
            yield Import(importer, str(node.value).partition(":")[0], where)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(importer, alias.name, where, node in for_types)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                inner = root.joinpath(*base.split("."), alias.name)
                is_module = inner.is_dir() or inner.with_suffix(".py").is_file()
                module = f"{base}.{alias.name}" if is_module else base
                yield Import(importer, module, where, node in for_types)


def room(module: str) -> str:
    """The part of `planner` that a dotted name belongs to: `planner.cost.roofline` → `cost`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else FACADE


def rank(name: str) -> int:
    return {FACADE: FACADE_RANK, ENTRY: ENTRY_RANK, **RANKS}[name]


def inside(found: Iterable[Import]) -> list[Import]:
    return [each for each in found if each.module.split(".")[0] == "planner"]


def upward(found: Iterable[Import]) -> list[str]:
    """Imports of `planner` by `planner` that go up."""
    return [
        f"{each.where}: {room(each.importer)} (floor {rank(room(each.importer))}) imports "
        f"{each.module} (floor {rank(room(each.module))})"
        for each in inside(found)
        if rank(room(each.module)) > rank(room(each.importer))
        or (room(each.module) == FACADE and rank(room(each.importer)) <= FACADE_RANK)
    ]


def circles(found: Iterable[Import]) -> list[list[str]]:
    """Circles among the parts of `planner` at run time, each as the parts it runs through."""
    edges: dict[str, set[str]] = {}
    for each in inside(found):
        if room(each.importer) != room(each.module) and not each.for_types_only:
            edges.setdefault(room(each.importer), set()).add(room(each.module))
    found_circles: list[list[str]] = []
    done: set[str] = set()

    def visit(name: str, trail: list[str]) -> None:
        if name in trail:
            found_circles.append([*trail[trail.index(name) :], name])
        elif name not in done:
            for below in sorted(edges.get(name, ())):
                visit(below, [*trail, name])
            done.add(name)

    for start in sorted(edges):
        visit(start, [])
    return found_circles


@pytest.fixture(scope="module")
def planner_imports() -> list[Import]:
    return [each for path in python_files("planner") for each in imports(path)]


def test_every_module_has_a_floor() -> None:
    rooms = {room(dotted(path, ROOT)) for path in python_files("planner")}
    assert {"units", "errors", "model", "cost"} <= rooms, "the files of planner were not found"
    unknown = rooms - set(RANKS) - {FACADE, ENTRY}
    assert not unknown, f"give {sorted(unknown)} a floor in RANKS of {Path(__file__).name}"


def test_imports_go_down_only(planner_imports: list[Import]) -> None:
    assert len(inside(planner_imports)) > 20, "the imports of planner were not read"
    assert upward(planner_imports) == []


def test_no_import_circles(planner_imports: list[Import]) -> None:
    assert circles(planner_imports) == []


def test_planner_knows_neither_validation_nor_tests(planner_imports: list[Import]) -> None:
    wrong = {"app", "benchmarks", "tests", "validation"}
    assert [each for each in planner_imports if each.module.split(".")[0] in wrong] == []


def test_planner_imports_only_its_libraries(planner_imports: list[Import]) -> None:
    ours = {"planner", *sys.stdlib_module_names}
    assert any(each.module.split(".")[0] in CORE_LIBRARIES for each in planner_imports)
    strangers = [
        f"{each.where}: {each.module}"
        for each in planner_imports
        if each.module.split(".")[0]
        not in ours | CORE_LIBRARIES | EXTRA_LIBRARIES.get(room(each.importer), set())
    ]
    assert strangers == []


def test_the_app_file_only_lists_pages() -> None:
    app = ROOT / "app.py"
    roots = {each.module.split(".")[0] for each in imports(app)} - set(sys.stdlib_module_names)
    assert roots
    assert roots <= {"planner", "streamlit", "validation"}
    assert {room(each.module) for each in inside(imports(app))} <= {"ui"}
    others = {each.module for each in imports(app) if each.module.startswith("validation")}
    assert others <= {"validation.page"}
    assert len(app.read_text(encoding="utf-8").splitlines()) <= 40


@pytest.mark.parametrize("module", ["planner", "planner.cli"])
def test_import_is_light(module: str) -> None:
    program = f"import sys, {module}; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "planner" in loaded
    assert loaded & HEAVY == set()


# What a plan without an engine, of a model in the catalog, has no use for.
NOT_FOR_A_PLAN = (
    "planner.claims", "planner.comparison", "planner.cost.shapes", "planner.engines.llama_cpp",
    "planner.engines.sglang", "planner.engines.tensorrt_llm", "planner.engines.transformers",
    "planner.engines.vllm", "planner.hardware.measurements", "planner.importers.families",
    "planner.importers.files", "planner.importers.gguf", "planner.importers.huggingface",
    "planner.model.mixers.latent", "planner.model.mixers.state_space", "planner.report",
    "planner.serving", "planner.service.", "planner.ui", "planner.variants",
)  # fmt: skip
MOST_MODULES = 140


def test_a_plan_loads_only_what_it_needs() -> None:
    program = (
        "import sys; from planner.cli import cli; "
        "cli(['plan', '-m', 'gpt2', '-d', 'h100-sxm'], standalone_mode=False); "
        "print(*(m for m in sys.modules if m.startswith('planner')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.splitlines()[-1].split()
    assert "planner.plan" in loaded
    assert [name for name in loaded if name.startswith(NOT_FOR_A_PLAN)] == []
    assert len(loaded) <= MOST_MODULES


@pytest.mark.parametrize("package", ["planner", "validation"])
def test_files_are_small_and_well_named(package: str) -> None:
    files = python_files(package)
    if package == "planner":
        assert len(files) > 20
    long = {
        str(path.relative_to(ROOT)): lines for path in files if (lines := count(path)) > MOST_LINES
    }
    assert long == {}
    vague = [path for path in files if VAGUE_NAMES & {path.stem, path.parent.name}]
    assert vague == []


def count(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_one_version() -> None:
    import planner

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert planner.__version__ == project["version"]


# --- the checks themselves, on a small tree that breaks the rules ---


@pytest.fixture
def broken_tree(tmp_path: Path) -> Path:
    files = {
        "planner/__init__.py": "from planner.plan import plan\n",
        "planner/units.py": "def bad():\n    from .plan import plan\n",
        "planner/errors.py": "from planner import units\nLATER = {'plan': 'planner.plan:plan'}\n",
        "planner/plan.py": "import planner.cost.roofline\nfrom planner import explain, sweep\n",
        "planner/sweep.py": "from .plan import plan\n",
        "planner/explain.py": "if TYPE_CHECKING:\n    from planner.plan import Plan\n",
        "planner/cost/__init__.py": "",
        "planner/cost/roofline.py": "from ..errors import E\nfrom planner import plan_it\n",
        "planner/cli.py": "from planner import plan_it\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_the_checks_see_what_is_wrong(broken_tree: Path) -> None:
    found = [
        each for path in python_files("planner", broken_tree) for each in imports(path, broken_tree)
    ]
    assert upward(found) == [
        "planner/cost/roofline.py:2: cost (floor 2) imports planner (floor 5)",
        "planner/errors.py:2: errors (floor 0) imports planner.plan (floor 5)",
        "planner/units.py:2: units (floor 0) imports planner.plan (floor 5)",
    ]
    assert {each.module for each in found if each.importer == "planner.cost.roofline"} == {
        "planner.errors",
        "planner",
    }
    seen = circles(found)
    assert ["plan", "sweep", "plan"] in seen
    assert not any("explain" in circle for circle in seen), "an import for types is no circle"
