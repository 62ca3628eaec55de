"""Phi-3-vision and Phi-3.5-vision: CLIP beside Phi-3, joined by two matrices.

The files name the tower, ``openai/clip-vit-large-patch14-336``, but not its figures; they are those
of that model.
"""

from __future__ import annotations

from dataclasses import replace

from planner.errors import UnsupportedConfigError
from planner.importers.config import Config
from planner.importers.families.phi3 import read as read_phi3
from planner.importers.registry import Architecture, family
from planner.importers.tower_registry import read_tower
from planner.model import Layer
from planner.model.projection import Projection, Table
from planner.model.tower import Tower

_TOWERS = {
    "openai/clip-vit-large-patch14-336": {
        "hidden_size": 1024,
        "image_size": 336,
        "intermediate_size": 4096,
        "num_attention_heads": 16,
        "num_hidden_layers": 24,
        "patch_size": 14,
    }
}
_MERGED = 4


@family("phi3_v", architectures=("Phi3VForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a Phi-3-vision configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        The language model with its tower.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    UnsupportedConfigError
        It names another tower.
    """
    language = read_phi3(config)
    processor = config.section("img_processor") or Config({}, config.where)
    name = processor.text("model_name")
    if name not in _TOWERS:
        raise UnsupportedConfigError(
            "a tower that is not modelled",
            where=processor.place("model_name"),
            got=name,
            allowed=", ".join(_TOWERS),
        )
    processor.require("name", "clip_vision_model")
    processor.ignore("image_dim_out", "num_img_tokens", "layer_idx", "type_feature")
    layer = config.section("embd_layer") or Config({}, config.where)
    for field in ("use_hd_transform", "with_learnable_separator"):
        layer.require(field, True)
    layer.require("projection_cls", "mlp")
    layer.ignore("embedding_cls", "hd_transform_order")
    stack = read_tower(Config(_TOWERS[name], config.where), "clip_vision_model")
    tower = Tower(
        name="vision",
        layers=(*stack.layers, _projector(_MERGED * stack.width, language.embedding.hidden)),
    )
    return replace(language, towers=(tower,))


def _projector(wide: int, hidden: int) -> Layer:
    return Layer(
        "projector",
        (
            Table(name="glb_GN", shape=(1, 1, wide)),
            Table(name="sub_GN", shape=(1, 1, 1, wide)),
            Projection(
                name="img_projection.0", inputs=wide, outputs=hidden, bias=True, merged=_MERGED
            ),
            Projection(
                name="img_projection.2", inputs=hidden, outputs=hidden, bias=True, merged=_MERGED
            ),
        ),
    )
