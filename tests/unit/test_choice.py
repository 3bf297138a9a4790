"""Backends as people write them."""

import pytest

from harness import catalog
from harness.choice import Choice, parse_choice


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("eager", Choice(name="eager")),
        ("dynamo:aot_eager", Choice(name="dynamo:aot_eager")),
        ("inductor()", Choice(name="inductor")),
        ("inductor(mode=max-autotune)", Choice(name="inductor", options=(("mode", "max-autotune"),))),
        (
            " inductor( mode=default , epilogue_fusion=false, x=1, y=0.5, triton.cudagraphs=true ) ",
            Choice(
                name="inductor",
                options=(("epilogue_fusion", False), ("mode", "default"), ("triton.cudagraphs", True), ("x", 1), ("y", 0.5)),
            ),
        ),
    ],
)
def test_a_choice_is_a_name_and_options(text: str, choice: Choice) -> None:
    assert parse_choice(text) == choice


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("inducter", "did you mean 'inductor'?"),
        ("eager(mode=fast)", "eager has no option 'mode'; it has none"),
        ("inductor(mode=fast)", "mode is one of default, reduce-overhead, max-autotune, max-autotune-no-cudagraphs, not 'fast'"),
        ("inductor(mode)", "'mode' is not OPTION=VALUE"),
        ("inductor(mode=default, mode=default)", "'mode' is given twice"),
        ("inductor(mode=default", "NAME or NAME(OPTION=VALUE, ...)"),
        ("", "NAME or NAME(OPTION=VALUE, ...)"),
    ],
)
def test_a_mistake_is_named(text: str, says: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_choice(text)
    assert says in str(error.value)


def test_types_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "OPTIONS", {"eager": {"opset": int, "share": float, "bound": bool}})
    assert parse_choice("eager(opset=20, share=1, bound=true)").options == (("bound", True), ("opset", 20), ("share", 1.0))
    for text, says in (
        ("opset=high", "a whole number"),
        ("bound=1", "true or false"),
        ("share=much", "a number"),
        ("opsett=1", "'opset'?"),
    ):
        with pytest.raises(ValueError) as error:
            parse_choice(f"eager({text})")
        assert says in str(error.value)


def test_a_choice_without_options_means_all_cells_of_the_backend() -> None:
    options = (("mode", "default"),)
    assert parse_choice("inductor").matches("inductor", options)
    assert parse_choice("inductor(mode=default)").matches("inductor", options)
    assert not parse_choice("inductor(mode=max-autotune)").matches("inductor", options)
    assert not parse_choice("eager").matches("inductor", options)
