"""Keys of inductor's configuration as options: what torch would say only as it compiles is said before anything is loaded."""

from __future__ import annotations

import pytest

from harness.backends.inductor_options import checked_options, mode_options
from harness.choice import Value
from harness.protocols import Unsupported


def test_values_come_in_the_type_that_inductor_has() -> None:
    given: dict[str, Value] = {"epilogue_fusion": False, "max_fusion_size": 8, "cpp.simdlen": 256, "layout_opt_default": "0"}
    assert checked_options(given) == given
    (value,) = checked_options({"cpp.simdlen": 0}).values()
    assert type(value) is int


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("epilog_fusion", True, "has no 'epilog_fusion'; did you mean 'epilogue_fusion'?"),
        ("x", True, "has no 'x'; it has"),
        ("epilogue_fusion", 1, "is true or false, not 1"),
        ("max_fusion_size", True, "is a whole number, not True"),
        ("max_fusion_size", 0.5, "is a whole number, not 0.5"),
        ("cpp.cxx", "clang++", "no way to write one as a cell's option"),
        ("max_autotune_gemm_search_space", "deep", "is one of DEFAULT, EXHAUSTIVE, not 'deep'"),
    ],
)
def test_a_mistake_is_named(name: str, value: Value, says: str) -> None:
    with pytest.raises(Unsupported) as error:
        checked_options({name: value})
    assert says in str(error.value)


def test_options_of_the_backend_s_own_are_suggested_too() -> None:
    with pytest.raises(Unsupported, match="did you mean 'keep'"):
        checked_options({"kep": True}, own=("keep",))


def test_modes_are_sets_of_options() -> None:
    assert mode_options("default") == {}
    assert mode_options("reduce-overhead") == {"triton.cudagraphs": True}
    assert mode_options("max-autotune")["max_autotune"] is True
    with pytest.raises(Unsupported, match="it has default, "):
        mode_options("fast")
