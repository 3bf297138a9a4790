"""Names and sizes of the suite ``timm``. Standard library only: the host plans with them.

Names and batch sizes are those of the ancestor (``benchmarks/dynamo/timm_models_list.txt``, pytorch/benchmark at 0e83c440; half of these where
``timm_models.yaml``, pytorch/pytorch at 1869dff181f4, has them among its ``divisors``). ``small`` is ours: the same graph with fewer blocks and on
smaller images, for two processors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class ImageModel:
    batch_size: int
    """Of ``large``."""
    small_side: int = 64
    """Height and width of an image, in pixels; of ``large`` they are the model's own."""
    small: Mapping[str, object] = field(default_factory=dict)
    """Arguments of ``timm.create_model`` that make it small."""


def _transformer(batch_size: int, side: int = 64) -> ImageModel:
    return ImageModel(batch_size=batch_size, small_side=side, small={"img_size": side, "depth": 2})


_ONE_OF_EACH_STAGE = {"depths": (1, 1, 1, 1)}
SMALL_BATCH = 4
MODELS: Mapping[str, ImageModel] = {
    # Five halvings leave 1 of 75 pixels at least: below that there is nothing to pool.
    "adv_inception_v3": ImageModel(batch_size=128, small_side=96),
    "beit_base_patch16_224": _transformer(64),
    "convnextv2_nano.fcmae_ft_in22k_in1k": ImageModel(batch_size=128, small=_ONE_OF_EACH_STAGE),
    "deit_base_distilled_patch16_224": _transformer(64),
    "deit_tiny_patch16_224.fb_in1k": _transformer(128),
    "dm_nfnet_f0": ImageModel(batch_size=128, small=_ONE_OF_EACH_STAGE),
    "ghostnet_100": ImageModel(batch_size=512),
    "inception_v3": ImageModel(batch_size=128, small_side=96),
    "mobilenetv2_100": ImageModel(batch_size=128),
    "mobilenetv3_large_100": ImageModel(batch_size=512),
    "mobilevit_s": ImageModel(batch_size=64),
    "nfnet_l0": ImageModel(batch_size=128, small=_ONE_OF_EACH_STAGE),
    "repvgg_a2": ImageModel(batch_size=128),
    # Windows of 7 patches of 4 pixels, two of them in a row: the last stage has one.
    "swin_base_patch4_window7_224": ImageModel(batch_size=64, small_side=56, small={"img_size": 56, "depths": (2, 2, 2)}),
    "tf_efficientnet_b0": ImageModel(batch_size=128),
    "visformer_small": ImageModel(batch_size=128, small={"img_size": 64, "depth": (1, 1, 1)}),
    "vit_base_patch14_dinov2.lvd142m": _transformer(128, side=56),
    "vit_base_patch16_siglip_256": _transformer(128),
}
