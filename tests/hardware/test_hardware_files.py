"""Files that people write: what is refused, and what the error says."""

import copy
import shutil

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.errors import PlannerError, SpecError, UnknownNameError
from planner.hardware import device_ids, lint_hardware, load_device, load_hardware, load_node
from planner.hardware.lint import lint_device
from planner.spec_folders import folder, read_spec

SPECS = folder("hardware_specs")
H100 = yaml.safe_load((SPECS / "h100-sxm.yaml").read_text())


def changed(key, value, base=H100):
    """Return a copy of a file's content with one dotted key set, or removed for ``...``."""
    data = copy.deepcopy(base)
    *parents, last = key.split(".")
    target = data
    for parent in parents:
        target = target[parent]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return data


@pytest.fixture
def load(tmp_path):
    def write(content, name="mine.yaml"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return load_device(path)

    return write


def test_a_file_equals_the_catalog_entry(load):
    assert load(H100) == load_device("h100-sxm")
    assert load_hardware(str(SPECS / "h100-sxm.yaml"), 4).devices == 4


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", "-1", "0", "1.0e+30", "1" + "0" * 400])
@pytest.mark.parametrize("key", ["memory.bandwidth", "memory.visible_capacity", "rates.bf16"])
def test_impossible_numbers_are_refused(load, key, value):
    text = yaml.safe_dump(changed(f"{key}.value", "PLACE")).replace("PLACE", value)
    with pytest.raises(SpecError, match=rf"mine\.yaml: {key}") as caught:
        load(text)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("value", ["1e12", "3.35 TB/s", "yes please", "", "0x1F2"])
def test_text_is_not_a_number(load, value):
    text = yaml.safe_dump(changed("memory.bandwidth.value", "PLACE"))
    with pytest.raises(SpecError, match=r"memory\.bandwidth\.value") as caught:
        load(text.replace("PLACE", f"'{value}'"))
    assert "text where a number belongs" in str(caught.value)


def test_the_yaml_trap_is_named(load):
    text = yaml.safe_dump(changed("memory.bandwidth.value", "PLACE")).replace("PLACE", "3.35e12")
    with pytest.raises(SpecError, match=r"1\.0e\+12"):
        load(text)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("memory.bandwidth", ..., "required field is missing"),
        ("memory", ..., "required field is missing"),
        ("memory.bandwith", {"value": 1}, "unknown field"),
        ("price", 3, "unknown field"),
        ("rates.fp7", {"value": 1, "unit": "TFLOP/s", "source": "ml-engineering"}, "rates"),
        ("rates", {}, "at least 1"),
        ("memory.bandwidth.unit", "GiB", "wrong unit"),
        ("memory.bandwidth.unit", "furlong", "wrong unit"),
        ("memory.bandwidth.source", "nobody", "not in the file's list of sources"),
        ("memory.bandwidth.value", True, "memory.bandwidth.value"),
        ("memory.bandwidth.value", None, "memory.bandwidth.value"),
        ("memory.bandwidth.value", [1], "memory.bandwidth.value"),
        ("memory.bandwidth", 3.35e12, "memory.bandwidth"),
        ("memory.bandwidth.value", 3.35e6, "beyond what hardware can be"),
        ("memory.vendor_capacity.value", 8, "contradict"),
        ("memory.visible_capacity.value", 80.5, "contradict"),
        ("compute.multiprocessors.value", 131.5, "whole number"),
        ("links.scale_up.devices.value", 1, "beyond what hardware can be"),
        ("launch_year", 1492, "launch_year"),
        ("launch_year", "2022", "launch_year"),
        ("schema_version", 2, "schema_version"),
        ("kind", "toaster", "not a hardware file"),
        ("id", "No Good/../", "id"),
        ("name", "x" * 201, "name"),
        ("sources", {}, "sources"),
        ("sources.ml-engineering.kind", "hearsay", "sources.ml-engineering.kind"),
    ],
)
def test_a_wrong_field_is_named(load, key, value, words):
    with pytest.raises(SpecError, match=r"mine\.yaml") as caught:
        load(changed(key, value))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_capacities_may_be_unknown(load):
    data = changed("memory.visible_capacity", ...)
    device = load(data)
    assert device.capacity_basis == "reported"
    assert device.capacity_bytes == 81559 * 2**20
    vendor = load(changed("memory.reported_capacity", ..., data), "vendor.yaml")
    assert vendor.capacity_basis == "vendor"
    assert vendor.capacity_bytes == 80 * 10**9


def test_every_link_field_is_understood(load):
    figure = {"value": 8, "unit": "1", "source": "ml-engineering"}
    peer = {"value": 10, "unit": "GB/s", "source": "ml-engineering"}
    data = changed("links.host.devices", figure, changed("links.host.per_peer", peer))
    device = load(data)
    assert device.host.devices == 8
    assert device.host.per_peer_bytes_per_s == 10e9
    assert device.explain("links.host.devices").value == 8


LAUGHS = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a mapping"),
        ("- 1\n- 2\n", "not a mapping"),
        ("just text", "not a mapping"),
        (LAUGHS, "alias"),
        ("a: 1\na: 2\n", "twice"),
        ("a: [" * 40, "nested too deeply"),
        ("[" * 200_000, "nested too deeply"),
        ("a: {b: ", "not valid YAML"),
        ("a: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
        ("a: 1\n---\nb: 2\n", "not valid YAML"),
        ("? [1, 2]\n: 3\n", "SpecError"),
        ("kind: " + "9" * 5000 + "\n", "cannot be read"),
        ("x: " + "y" * 1_000_001, "too large"),
        ("a: \x00", "not valid YAML"),
    ],
)
def test_hostile_yaml_is_refused(load, text, words):
    with pytest.raises(SpecError) as caught:
        load(text)
    assert words in f"{type(caught.value).__name__} {caught.value}"
    assert len(str(caught.value)) < 600


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(SpecError, match="no such file"):
        load_device(tmp_path / "absent.yaml")
    with pytest.raises(SpecError, match="no such file"):
        load_device(tmp_path)
    with pytest.raises(SpecError, match="no such file"):
        load_device("/dev/zero")
    (tmp_path / "latin.yaml").write_bytes("name: é".encode("latin-1"))
    with pytest.raises(SpecError, match="cannot be read"):
        load_device(tmp_path / "latin.yaml")
    with pytest.raises(SpecError):
        load_device("x" * 5000 + ".yaml")


def test_a_changed_file_is_read_again(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(H100))
    assert load_device(path).power_w == 700
    path.write_text(yaml.safe_dump(changed("power.value", 350.5)))
    assert load_device(path).power_w == 350.5


def test_dates_stay_text(tmp_path):
    path = tmp_path / "dates.yaml"
    path.write_text("date: 2026-08-22\n")
    assert read_spec(path) == {"date": "2026-08-22"}


def test_own_folder_adds_and_overrides(tmp_path, monkeypatch):
    own = tmp_path / "hardware_specs"
    (own / "nodes").mkdir(parents=True)
    (own / "mine.yaml").write_text(yaml.safe_dump(changed("id", "mine")))
    (own / "h100-sxm.yaml").write_text(yaml.safe_dump(changed("power.value", 500)))
    monkeypatch.setenv("PLANNER_SPEC_PATH", str(tmp_path))
    assert "mine" in device_ids()
    assert load_device("mine").id == "mine"
    assert load_device("h100-sxm").power_w == 500
    assert load_device("l4").id == "l4"
    assert lint_hardware() == []
    monkeypatch.setenv("PLANNER_SPEC_PATH", str(tmp_path / "absent"))
    with pytest.raises(SpecError, match="PLANNER_SPEC_PATH"):
        device_ids()


def test_lint_reports_each_slip(tmp_path, monkeypatch):
    own = tmp_path / "hardware_specs"
    own.mkdir()
    extra = changed("sources.spare", {"kind": "article", "title": "Spare"})
    (own / "renamed.yaml").write_text(yaml.safe_dump(extra))
    (own / "broken.yaml").write_text("a: [")
    slip = changed("id", "slip")
    slip["memory"]["bandwidth"]["value"] = 0.335
    slip["rates"]["fp8"]["value"] = 100.0
    slip["sources"]["torch-logs"]["title"] = "Another title"
    (own / "slip.yaml").write_text(yaml.safe_dump(slip))
    monkeypatch.setenv("PLANNER_SPEC_PATH", str(tmp_path))
    found = "\n".join(lint_hardware())
    for words in (
        "id h100-sxm is not the name of the file",
        "source spare is cited by no figure",
        "source spare has no url",
        "broken.yaml: not valid YAML",
        "ridge point is 2953",
        "the fp8 rate is below the fp16 rate",
        "source torch-logs differs",
    ):
        assert words in found
    assert "mi300x" not in found


def test_lint_device_on_a_good_one():
    assert list(lint_device(load_device("h100-sxm"))) == []


def test_node_files(tmp_path):
    data = yaml.safe_load((SPECS / "nodes" / "8x-h100-sxm.yaml").read_text())
    path = tmp_path / "node.yaml"

    def load(content):
        path.write_text(yaml.safe_dump(content))
        return load_node(path)

    assert load(data) == load_node("8x-h100-sxm")
    assert load(changed("links.network", ..., data)).network is None
    with pytest.raises(SpecError, match="no such device"):
        load(changed("device", "8x-h100-sxm", data))
    with pytest.raises(SpecError, match="no such device"):
        load(changed("device", "h101", data))
    with pytest.raises(SpecError, match="devices"):
        load(changed("devices.value", 0, data))
    load(data)
    with pytest.raises(UnknownNameError, match="is a node"):
        load_device(path)


KEYS = ["memory.bandwidth.value", "memory.kind", "rates.bf16", "links.host", "sources", "id"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def refusal(path):
    """Return the error of a file, if it is one that a person can read."""
    try:
        load_device(path)
    except PlannerError as error:
        return str(error)
    return None


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(key=st.sampled_from(KEYS), value=ANYTHING)
def test_any_content_loads_or_is_a_planner_error(tmp_path, key, value):
    path = tmp_path / "fuzz.yaml"
    path.write_text(yaml.safe_dump(changed(key, value)))
    error = refusal(path)
    if error is None:
        assert load_device(path).memory_bandwidth_bytes_per_s > 0
    else:
        assert "fuzz.yaml" in error
        assert len(error) < 1000
        assert "\n" not in error


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(max_size=200))
def test_any_text_loads_or_is_a_planner_error(tmp_path, text):
    path = tmp_path / "fuzz.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError):
        load_device(path)


@settings(max_examples=60, deadline=None)
@given(value=st.floats(1, 1e6), unit=st.sampled_from(["GB/s", "TB/s", "Gbit/s"]))
def test_bandwidth_converts_by_its_unit(value, unit):
    from planner.hardware.quantity import convert
    from planner.sources import Figure

    factor = {"GB/s": 1e9, "TB/s": 1e12, "Gbit/s": 0.125e9}[unit]
    figure = Figure(value=value, unit=unit, source="x")
    if 1e9 <= value * factor <= 1e15:
        assert convert("memory.bandwidth", figure, "a") == pytest.approx(value * factor)
    else:
        with pytest.raises(SpecError):
            convert("memory.bandwidth", figure, "a")


def test_shipped_folder_is_complete_without_the_environment(tmp_path):
    copied = shutil.copytree(SPECS, tmp_path / "copy")
    assert {p.stem for p in copied.glob("*.yaml")} == {*device_ids(), "runtime"}
