"""Several lengths of the soft mask on one set of patches."""

import pytest
import torch

from pyg_neuralops.models import build_model
from pyg_neuralops.nn import KNNAttention
from pyg_neuralops.ops import EdgeTiles, knn_graph

C, H = 16, 4


def attention(**kwargs):
    torch.manual_seed(0)
    return KNNAttention(C, heads=H, project=False, **kwargs).double()


def test_one_scale_is_none_and_scales_are_strengths():
    plain, one, two = attention(), attention(scales=(1,)), attention(scales=(1, 0.25))
    assert plain.state_dict().keys() == two.state_dict().keys()
    for layer in (one, two):
        layer.load_state_dict(plain.state_dict())
    torch.manual_seed(0)
    x, pos = torch.randn(50, C).double(), torch.rand(50, 2).double()
    edges = knn_graph(pos, 9)
    assert torch.equal(one(x, pos, edges), plain(x, pos, edges))
    factor = torch.tensor([1, 1, 16, 16]).double()
    torch.testing.assert_close(two.strength, plain.strength * factor, rtol=0, atol=0)
    # A mask of 16 times the strength in the heads of the second group, and in no others.
    with torch.no_grad():
        plain.mask.copy_((plain.strength * factor).expm1().log())
    torch.testing.assert_close(two(x, pos, edges), plain(x, pos, edges))
    torch.testing.assert_close(two(x, pos, EdgeTiles.from_edge_index(edges, pos)), two(x, pos, edges))


def test_a_group_of_scale_zero_sees_the_node_itself():
    layer = attention(scales=(1.0, 1e-4))
    torch.manual_seed(0)
    x, pos = torch.randn(50, C).double(), torch.rand(50, 2).double()
    out = layer(x, pos, EdgeTiles.from_edge_index(knn_graph(pos, 9), pos))
    own = layer.qkv(x)[:, -C:]
    torch.testing.assert_close(out[:, C // 2 :], own[:, C // 2 :])
    assert ((out - own)[:, : C // 2].abs().amax(1) > 1e-2).all()


def test_models_take_and_keep_scales():
    sizes = {"in_channels": 1, "out_channels": 1, "hidden_channels": C, "num_layers": 2, "heads": H}
    model = build_model("la2former-lrsa", **sizes, scales=(1, 0.5))
    assert model.config["scales"] == [1.0, 0.5]
    again = build_model("la2former-lrsa", **model.config)
    for one in (model, again):
        for block in one.blocks:
            assert block.mixer.mixers[0].attention.squares.tolist() == [1, 1, 0.25, 0.25]
    assert build_model("la2former", **sizes).config["scales"] is None


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"scales": (1, 0.5, 0.25)}, r"scales=\[1, 0.5, 0.25\]; .* divide heads=4"),
        ({"scales": ()}, r"scales=\[\]"),
        ({"scales": (1, 0)}, r"scales=\[1, 0\]"),
        ({"scales": (1, float("nan"))}, "nan"),
        ({"scales": (1, 0.5), "soft_mask": "layer"}, "soft_mask='layer'"),
        ({"scales": (1, 0.5), "soft_mask": "none"}, "soft_mask='none'"),
    ],
)
def test_wrong_scales_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        attention(**kwargs)


def test_scales_come_back_after_a_reset_without_storage():
    with torch.device("meta"):
        layer = KNNAttention(16, heads=4, scales=(1, 0.5))
    layer.to_empty(device="cpu").reset_parameters()
    torch.testing.assert_close(layer.strength, torch.tensor([0.1, 0.1, 0.4, 0.4]))
