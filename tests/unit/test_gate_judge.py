"""From rows to verdicts: margins, metrics beside time, cells that nothing can be said of, and the release's decision."""

from __future__ import annotations

import dataclasses
import datetime
import random

import pytest

from harness.records import Status
from matrix.config import Gate, parse_matrix
from reports.gate.conditions import Cap
from reports.gate.expected import parse_expected
from reports.gate.judge import Judged, decide, judge, verdict_of
from reports.gate.procedure import Verdict
from reports.gate.report import CellReport, Decision, Finding
from tests.unit.gate_blocks import Columns, Makes, after, candidate_first, candidates, noisy, setup_with
from tests.unit.test_config import GOOD

IMPROVED, EQUIVALENT, REGRESSED, INCONCLUSIVE = Verdict.IMPROVED, Verdict.EQUIVALENT, Verdict.REGRESSED, Verdict.INCONCLUSIVE
CRASH = candidates({"status": "crash:SIGSEGV", "backend_p05_seconds": None})


def judged(*makes: Makes, names: str = "", gate: Gate | None = None, blocks: int = 100, **lost: str) -> Judged:
    """names: of the cells, one letter each."""
    setup = setup_with(*(names or "abcdefghij"[: len(makes)]), gate=gate)
    return judge(dataclasses.replace(setup, lost=lost), after(setup, blocks, *makes))


def finding(found: Judged, name: str, metric: str) -> Finding:
    cell = next(cell for cell in found.cells if cell.cell.startswith(f"micro/{name} "))
    return next(each for each in cell.findings if each.metric == metric)


def gate(text: str) -> Gate:
    return parse_matrix(f"{GOOD}\n{text}").gate


class TestLatency:
    def test_a_verdict_comes_with_its_numbers(self) -> None:
        found = finding(judged(noisy(1.1)), "a", "latency")
        assert found.verdict == REGRESSED
        assert found.ratio == pytest.approx(1.1, rel=0.02)
        assert (found.delta, found.tolerable, found.blocks) == (0.02, 0.05, 15)
        assert found.baseline == pytest.approx(1e-3, rel=0.02)
        assert found.candidate == pytest.approx(1.1e-3, rel=0.02)
        assert found.reason.endswith("15 fresh paired launches, Holm p < 0.001: regressed")
        assert (found.detectable, found.blocks_needed) == (None, None)

    def test_what_is_undecided_says_what_it_would_take(self) -> None:
        found = finding(judged(noisy(noise=0.15, seed=3)), "a", "latency")
        assert found.verdict == INCONCLUSIVE
        assert found.detectable is not None
        assert found.blocks_needed is not None
        assert found.detectable > 0.05
        assert found.blocks_needed > found.blocks == 16
        assert f"these blocks could have seen {100 * found.detectable:.1f} %" in found.reason
        assert f"{found.blocks_needed} blocks would show 5 %" in found.reason

    def test_nothing_below_what_matters_could_have_been_seen(self) -> None:
        """However quiet a cell is: an effect below delta is none."""
        found = finding(judged(noisy(ratio=1.03, noise=1e-4), blocks=14), "a", "latency")
        assert (found.verdict, found.detectable) == (INCONCLUSIVE, 0.02)

    def test_a_margin_rule_decides_what_matters(self) -> None:
        rule = '[[gate.margin]]\nreason = "known"\nworkload = ["micro/softmax"]\nmargin = { delta = 0.2, tolerable = 0.4, blocks = true }\n'
        setup = setup_with("softmax", "gather", gate=gate(rule))
        found = judge(setup, after(setup, 100, noisy(1.1), noisy(1.1)))
        assert {cell.cell.partition(" ")[0]: cell.verdict for cell in found.cells} == {
            "micro/softmax": EQUIVALENT,
            "micro/gather": REGRESSED,
        }

    def test_a_margin_that_does_not_block_warns(self) -> None:
        found = judged(noisy(1.1), gate=gate("[gate.margins.latency]\ndelta = 0.02\ntolerable = 0.05\nblocks = false"))
        assert finding(found, "a", "latency").verdict == REGRESSED
        assert found.decision == Decision.PASS


class TestSteadiness:
    def test_launches_in_two_modes_can_tell_nothing(self) -> None:
        def bimodal(number: int, candidate: bool) -> Columns:
            return {"backend_p05_seconds": 2.6e-3 if candidate and number % 2 else 1.1e-3 + 1e-6 * number}

        found = finding(judged(bimodal), "a", "latency")
        assert found.verdict == INCONCLUSIVE
        assert found.reason.startswith("unstable: launches of the candidate fall into two modes, at 1.11 ms and 2.6 ms")

    def test_a_single_launch_far_from_the_others_is_no_mode(self) -> None:
        def outlier(number: int, candidate: bool) -> Columns:
            return {"backend_p05_seconds": 2e-3 if candidate and number == 3 else 1e-3 + 1e-6 * number}

        assert finding(judged(outlier), "a", "latency").verdict == EQUIVALENT

    def test_a_baseline_that_differs_from_itself_can_tell_nothing(self) -> None:
        """Every other launch of it is 3 % slower: candidate and baseline differ by nothing else."""

        def alternating(number: int, candidate: bool) -> Columns:
            slower = 1.03 if number % 2 else 1.0
            return {"backend_p05_seconds": 1e-3 * slower * (1 + 1e-4 * random.Random(f"{number} {candidate}").random())}

        found = finding(judged(alternating, gate=gate("[gate]\nlooks = [16]")), "a", "latency")
        assert found.verdict == INCONCLUSIVE
        assert found.reason.startswith("unstable: the baseline differs from itself by +3.0 %")

    def test_a_crash_is_a_crash_on_an_unstable_cell_too(self) -> None:
        def make(number: int, candidate: bool) -> Columns:
            drawn = random.Random(f"{number} {candidate}").gauss(0, 0.05)
            return {"backend_p05_seconds": (2e-3 if number % 2 else 1e-3) * (1 + drawn)}

        def crashes(number: int, candidate: bool) -> Columns:
            return {"status": "crash:SIGSEGV"} if candidate and number >= 6 else make(number, candidate)

        assert finding(judged(make), "a", "latency").reason.startswith("unstable")
        assert judged(crashes).cells[0].verdict == REGRESSED

    def test_the_noise_floor_is_the_spread_of_the_baseline(self) -> None:
        found = judged(noisy(noise=0.02), gate=gate("[gate]\nlooks = [200]"), blocks=200)
        assert found.cells[0].noise_floor == pytest.approx(0.02, rel=0.2)

    @pytest.mark.parametrize("order", [0.0, 0.03])
    def test_the_placebo_is_what_the_order_of_starting_does_whatever_the_images_do(self, order: float) -> None:
        setup = setup_with("a", "b", "c", gate=gate("[gate]\nlooks = [40]"))

        def make(ratio: float, cell: int) -> Makes:
            def columns(number: int, candidate: bool) -> Columns:
                second = candidate != candidate_first(setup, number)
                noise = random.Random(f"{cell} {number} {candidate}").gauss(0, 0.01)
                return {"backend_p05_seconds": 1e-3 * (ratio if candidate else 1) * (1 + order * second) * (1 + noise)}

            return columns

        found = judge(setup, after(setup, 40, make(1.0, 0), make(1.2, 1), make(0.7, 2))).placebo
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        assert found.low < order < found.high
        assert found.effect == pytest.approx(order, abs=0.005)
        assert found.high - found.low < 0.015
        assert found.differences == 120


class TestOtherMetrics:
    @pytest.mark.parametrize(
        ("baseline", "candidate", "verdict"),
        [
            (1e-3, 5e-3, REGRESSED),
            (5e-3, 1e-3, IMPROVED),
            (1e-3, 1.2e-3, EQUIVALENT),
            (1e-7, 9e-6, EQUIVALENT),  # below a tenth of the tolerance: rounding
            (1e-7, 5e-5, REGRESSED),
        ],
    )
    def test_errors_are_compared_above_a_tenth_of_the_tolerance(self, baseline: float, candidate: float, verdict: Verdict) -> None:
        make = candidates({"backend_error": candidate, "tolerance": 1e-4}, {"backend_error": baseline, "tolerance": 1e-4})
        found = judged(make, *[noisy(seed=seed, backend_error=1e-3, tolerance=1e-4) for seed in range(9)])
        error = finding(found, "a", "error")
        assert error.verdict == verdict, error.reason
        assert error.blocks_release
        assert (found.decision == Decision.REGRESSED) == (verdict == REGRESSED)
        assert (error.baseline, error.candidate) == (baseline, candidate)

    def test_a_break_where_there_was_none_is_a_warning(self) -> None:
        found = judged(candidates({"graph_breaks": 1}, {"graph_breaks": 0}), *[noisy(seed=seed, graph_breaks=0) for seed in range(9)])
        breaks = finding(found, "a", "graph_breaks")
        assert (breaks.verdict, breaks.blocks_release, breaks.ratio) == (REGRESSED, False, None)
        assert breaks.reason == "0 to 1, 6 paired launches: regressed"
        assert found.decision == Decision.PASS
        assert found.cells[0].verdict == EQUIVALENT

    def test_values_that_vary_take_as_many_cells_as_there_are_into_account(self) -> None:
        """Of one cell six blocks can say it, of 10 cells they cannot: 1/64 is not that rare."""

        def make(seed: int, ratio: float) -> Makes:
            def columns(number: int, candidate: bool) -> Columns:
                drawn = random.Random(f"{seed} {number} {candidate}").gauss(0, 0.01)
                return {"dynamo_peak_mem": (ratio if candidate else 1.0) * (1 + drawn)}

            return columns

        alone = finding(judged(make(0, 1.5)), "a", "peak_memory")
        assert alone.verdict == REGRESSED
        assert alone.p == pytest.approx(1 / 64)
        among = finding(judged(make(0, 1.5), *[make(seed, 1.0) for seed in range(1, 10)]), "a", "peak_memory")
        assert among.verdict == INCONCLUSIVE
        assert among.p == pytest.approx(10 / 64)
        assert among.baseline == pytest.approx(1e9, rel=0.02), "in bytes"

    def test_what_only_one_image_tells_is_not_known(self) -> None:
        found = judged(candidates({}, {"backend_error": 1e-3}))
        error = finding(found, "a", "error")
        assert (error.verdict, error.reason) == (INCONCLUSIVE, "the candidate does not tell it")
        assert found.decision == Decision.INCONCLUSIVE

    def test_what_neither_tells_is_no_finding(self) -> None:
        assert [each.metric for each in judged(noisy()).cells[0].findings] == ["latency"]

    def test_numbers_of_void_rows_are_not_looked_at(self) -> None:
        def make(number: int, candidate: bool) -> Columns:
            void = candidate and number == 0
            return {"cpu_waiting": 0.9 if void else 0.0, "graph_breaks": 99 if void else 0}

        assert finding(judged(make), "a", "graph_breaks").candidate == 0


class TestDecision:
    def test_one_regressed_cell_fails_the_release_and_is_named(self) -> None:
        found = judged(noisy(), CRASH, noisy(1.2), noisy(noise=0.2))
        assert found.decision == Decision.REGRESSED
        assert found.why.startswith("2 cells of 4 regressed: micro/b inductor")
        assert [cell.verdict for cell in found.cells] == [REGRESSED, REGRESSED, INCONCLUSIVE, EQUIVALENT]

    def test_what_is_not_known_is_no_pass(self) -> None:
        found = judged(noisy(), noisy(noise=0.2))
        assert (found.decision, found.why) == (
            Decision.INCONCLUSIVE,
            "1 cell of 2 inconclusive: micro/b inductor cpu inference float32 small",
        )

    def test_a_lost_cell_fails_the_release(self) -> None:
        found = judged(noisy(), gone="it is none of its cells")
        assert found.decision == Decision.REGRESSED
        assert (found.cells[0].cell, found.cells[0].candidate_status) == ("gone", "")
        assert "no such cell (it is none of its cells)" in found.cells[0].findings[0].reason

    def test_what_fails_in_both_is_as_it_was(self) -> None:
        found = judged(noisy(), lambda number, candidate: {"status": Status.UNSUPPORTED})
        assert found.decision == Decision.PASS
        assert found.cells[-1].verdict == found.cells[0].verdict == EQUIVALENT

    def test_a_cell_that_passes_now_is_improved(self) -> None:
        found = judged(noisy(), candidates({}, {"status": Status.OOM}))
        assert (found.decision, found.cells[0].verdict) == (Decision.PASS, IMPROVED)

    def test_where_launches_took_no_turns_times_tell_nothing_and_crashes_do(self) -> None:
        setup, cap = setup_with("a"), [Cap(reason="one by one", everything=False)]
        for makes in (noisy(), noisy(ratio=1.2)):
            found = judge(setup, after(setup, 21, makes), caps=cap)
            assert (found.decision, found.why, found.cells[0].verdict) == (Decision.INCONCLUSIVE, "one by one", INCONCLUSIVE)
        assert "regressed, were it not for this: one by one: inconclusive" in found.cells[0].findings[0].reason
        assert found.cells[0].findings[0].ratio == pytest.approx(1.2, rel=0.02), "the numbers are kept"
        assert judge(setup, after(setup, 6, CRASH), caps=cap).decision == Decision.REGRESSED

    def test_under_other_conditions_nothing_is_told(self) -> None:
        setup, cap = setup_with("a"), [Cap(reason="another harness", everything=True)]
        found = judge(setup, after(setup, 6, CRASH), caps=cap)
        assert (found.decision, found.cells[0].verdict) == (Decision.INCONCLUSIVE, INCONCLUSIVE)

    def test_a_crash_on_a_busy_host_is_a_crash_and_a_timeout_there_is_none(self) -> None:
        busy = {"cpu_waiting": 0.9}
        for status, verdict in (("crash:SIGSEGV", REGRESSED), (Status.TIMEOUT, INCONCLUSIVE)):
            found = judged(candidates({**busy, "status": status, "backend_p05_seconds": None}, busy))
            assert found.cells[0].verdict == verdict
        assert judged(candidates({**busy, "backend_p05_seconds": 5e-3}, busy)).decision == Decision.INCONCLUSIVE

    def test_nothing_at_all_is_no_pass(self) -> None:
        assert decide([])[0] == Decision.INCONCLUSIVE
        assert judged(noisy(), blocks=0).decision == Decision.INCONCLUSIVE

    def test_a_cell_is_as_bad_as_what_blocks(self) -> None:
        def made(verdict: Verdict, blocks: bool) -> Finding:
            return Finding(metric="latency", verdict=verdict, blocks_release=blocks, reason="")

        assert verdict_of([made(IMPROVED, True), made(INCONCLUSIVE, True), made(REGRESSED, False)]) == INCONCLUSIVE
        assert verdict_of([made(EQUIVALENT, True), made(IMPROVED, True)]) == IMPROVED
        assert verdict_of([made(REGRESSED, False)]) == EQUIVALENT
        assert verdict_of([made(INCONCLUSIVE, False)]) == verdict_of([]) == INCONCLUSIVE


TODAY = datetime.date(2026, 6, 1)


def expecting(*makes: Makes, expires: str = "2026-12-31", status: str = "crash:*") -> tuple[Judged, CellReport]:
    text = f'[[expected]]\nworkload = ["path/*"]\nstatus = ["{status}"]\nreason = "issue 7"\nexpires = {expires}\n'
    setup = setup_with("path/m:A", *"bcd"[: len(makes) - 1])
    found = judge(setup, after(setup, 100, *makes), parse_expected(text, "expected.toml", ["cpu"]), TODAY)
    return found, next(cell for cell in found.cells if cell.cell.startswith("path/"))


class TestExpectedFailures:
    def test_an_expected_failure_is_excused(self) -> None:
        found, cell = expecting(CRASH, noisy())
        assert (found.decision, cell.verdict, cell.expected) == (Decision.PASS, REGRESSED, "issue 7")
        assert found.why == "none of 2 cells regressed, 1 excused"

    def test_another_failure_is_not(self) -> None:
        found, cell = expecting(CRASH, noisy(), status="OOM")
        assert (found.decision, cell.expected) == (Decision.REGRESSED, "")

    def test_what_has_expired_excuses_nothing_and_is_told(self) -> None:
        found, cell = expecting(CRASH, noisy(), expires="2026-05-31")
        assert (found.decision, cell.expected) == (Decision.REGRESSED, "")
        assert found.notes == (f"{cell.cell}: was expected to fail until 2026-05-31: issue 7",)

    def test_a_pass_that_nobody_expected_is_told(self) -> None:
        found, cell = expecting(noisy(), noisy())
        assert (found.decision, cell.unexpected_pass, cell.verdict) == (Decision.PASS, True, EQUIVALENT)

    def test_a_failure_does_not_excuse_a_slowdown(self) -> None:
        """Once it crashed, as expected; in all other launches it is slower."""

        def make(number: int, candidate: bool) -> Columns:
            return {"status": "crash:SIGSEGV"} if candidate and number == 3 else {"backend_p05_seconds": 1.2e-3 if candidate else 1e-3}

        found, cell = expecting(make, noisy())
        assert (found.decision, cell.expected) == (Decision.REGRESSED, "")

    def test_where_all_are_excused_nothing_was_compared(self) -> None:
        found, _ = expecting(CRASH)
        assert found.decision == Decision.INCONCLUSIVE
