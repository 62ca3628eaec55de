"""Every kind of part that a description may name, told apart by ``kind``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from planner.model.alternating import AltUp
from planner.model.connection import AttentionResidual, InnerNorm, LearnedScale, OutputGate
from planner.model.embedding import TokenTable
from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.model.hyper_connection import HyperConnection
from planner.model.mixers.attention import Attention
from planner.model.mixers.compressed import CompressedAttention
from planner.model.mixers.convolution import Hyena, ShortConvolution
from planner.model.mixers.convolution_modal import ModalHyena
from planner.model.mixers.convolution_vector import VectorConvolution
from planner.model.mixers.cross_attention import CrossAttention
from planner.model.mixers.factorised import FactorisedAttention
from planner.model.mixers.indexer import Indexer
from planner.model.mixers.latent import LatentAttention
from planner.model.mixers.linear_attention import GatedLinearAttention, LightningAttention
from planner.model.mixers.linear_delta import GatedDeltaNet
from planner.model.mixers.linear_griffin import RgLru
from planner.model.mixers.linear_kda import KimiDeltaAttention
from planner.model.mixers.linear_rwkv import Rwkv4TimeMix, RwkvChannelMix
from planner.model.mixers.linear_rwkv_state import RwkvTimeMix
from planner.model.mixers.linear_xlstm import MatrixLstm, ScalarLstm
from planner.model.mixers.relative import RelativePositions
from planner.model.mixers.selected import SelectedAttention
from planner.model.mixers.sparse import LongformerAttention
from planner.model.mixers.sparse_hashing import ReformerAttention
from planner.model.mixers.sparse_selection import TopKAttention
from planner.model.mixers.state_space import Mamba1, Mamba2
from planner.model.mixers.structured import MonarchDense
from planner.model.multi_token import MultiTokenProjection
from planner.model.norm import Norm
from planner.model.projection import Projection, Table
from planner.model.router import RouterNetwork
from planner.model.shared_block import SharedBlock

AnyPart = Annotated[
    Attention
    | CrossAttention
    | LatentAttention
    | CompressedAttention
    | SelectedAttention
    | FactorisedAttention
    | Indexer
    | Mamba1
    | Mamba2
    | GatedDeltaNet
    | KimiDeltaAttention
    | LightningAttention
    | GatedLinearAttention
    | RgLru
    | Rwkv4TimeMix
    | RwkvTimeMix
    | RwkvChannelMix
    | MatrixLstm
    | ScalarLstm
    | ShortConvolution
    | Hyena
    | ModalHyena
    | VectorConvolution
    | RelativePositions
    | LongformerAttention
    | ReformerAttention
    | TopKAttention
    | SharedBlock
    | MonarchDense
    | OutputGate
    | InnerNorm
    | LearnedScale
    | RouterNetwork
    | AttentionResidual
    | Dense
    | MixtureOfExperts
    | HyperConnection
    | MultiTokenProjection
    | Norm
    | Projection
    | Table
    | TokenTable
    | AltUp,
    Field(discriminator="kind"),
]
