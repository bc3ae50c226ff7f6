"""Tables say what the results hold: right deviations, right tests, in three formats."""

from __future__ import annotations

import copy
import csv
import io
import math

import numpy as np
import pytest
import torch
from scipy.stats import ttest_rel, wilcoxon

from pyg_neuralops.cli.options import said
from pyg_neuralops.engine import Scores
from pyg_neuralops.study.gather import gather
from pyg_neuralops.study.provenance import write_json
from pyg_neuralops.study.scores import summaries
from pyg_neuralops.study.significance import paired_t, signed_rank
from pyg_neuralops.study.table import percent, table

SAMPLES = [type("Sample", (), {"y": torch.ones(2, 2)})] * 12


def result(model, seed, errors, **others):
    """What ``train_run`` gives for these errors of twelve samples."""
    errors = torch.tensor(errors, dtype=torch.double)
    channels = {"relative_l2/0": errors, "relative_l2/1": 10 * errors, "r2": 1 - errors**2}
    return {
        **summaries(Scores({"relative_l2": errors, **channels}), ("p", "u_x"), SAMPLES),
        "own_metrics": {},
        "model": model,
        "class": model,
        "config": {},
        "recipe": {"epochs": 5, "seconds": None},
        "initial": None,
        "seed": seed,
        "data": {"dataset": "set_1", "sizes": {"test": 12}, "nodes": [3, 3, 3], "protocol": "standard", "digest": "d"},
        "parameters": 1000,
        "seconds_per_epoch": 0.5,
        "epochs": 5,
        "history": [{"batches": 200}] * 5,
        "train_seconds": 2.5,
        "peak_memory_bytes": 1e8,
        "environment": {"git": None, "platform": "x", "cpu_count": 2, "threads": 1, "accelerator": None},
        **others,
    }


def errors_of(seed, level):
    return level * (1 + 0.3 * np.random.default_rng(seed).random(12))


@pytest.fixture
def results():
    levels = {"one": (0.10, 0.12, 0.11), "two": (0.20, 0.25, 0.21)}
    runs = [result(name, seed, errors_of(seed, level)) for name, at in levels.items() for seed, level in enumerate(at)]
    metrics = ("relative_l2", "relative_l2/0", "relative_l2/1", "r2")
    trivial = summaries(Scores({name: 0.4 * torch.ones(12) for name in metrics}), ("p", "u_x"), SAMPLES)
    missing = {"not_applicable": "there is no input field x"}
    return {"runs": runs, "data": runs[0]["data"], "baselines": {"mean": {**trivial, "remark": ""}, "ridge": missing}}


def read(results, **options):
    return {row["model"]: row for row in csv.DictReader(io.StringIO(table(results, "csv", **options)))}


def test_values_are_means_over_seeds_with_their_sample_deviation(results):
    rows = read(results)
    assert list(rows) == ["one", "two", "mean"]
    for name, levels in (("one", (0.10, 0.12, 0.11)), ("two", (0.20, 0.25, 0.21))):
        means = [errors_of(seed, level).mean() for seed, level in enumerate(levels)]
        assert float(rows[name]["test error"]) == pytest.approx(np.mean(means), rel=1e-6)
        assert float(rows[name]["test error ±"]) == pytest.approx(np.std(means, ddof=1), rel=1e-5)
        assert float(rows[name]["vs best trivial"]) == pytest.approx(np.mean(means) / 0.4, rel=1e-6)
    text = table(results)
    assert f"{100 * np.mean(means):.1f}% ± {100 * np.std(means, ddof=1):.2f} " in text
    assert "Baseline ridge n/a: there is no input field x." in text
    assert "3 seed(s), 5 epochs each" in text


def test_what_is_not_trained_enough_is_said(results):
    said = "is not trained enough to be compared"
    assert said not in table(results)
    results["runs"][4]["history"] = [{"batches": 199}] * 5
    assert f"two {said}: 995 steps, under 1,000." in table(results)
    results["baselines"]["mean"]["test"]["mean"] = 0.15
    assert f"two {said}: 995 steps, under 1,000; no better than mean." in table(results)
    results["runs"][0]["test"]["mean"] = None
    assert f"one {said}: no better than mean." in table(results)


def test_p_values_are_scipys_of_the_same_pairs(results):
    rows = read(results)
    one, two = (
        np.array([errors_of(seed, level) for seed, level in enumerate(levels)])
        for levels in ((0.10, 0.12, 0.11), (0.20, 0.25, 0.21))
    )
    assert float(rows["two"]["p"]) == pytest.approx(wilcoxon(one.mean(0), two.mean(0)).pvalue)
    assert float(rows["two"]["p (seeds)"]) == pytest.approx(ttest_rel(one.mean(1), two.mean(1)).pvalue, rel=1e-4)
    assert rows["one"]["p"] == rows["mean"]["p"] == ""
    results["runs"] = [run for run in results["runs"] if run["seed"] < 2]
    assert "p (seeds)" not in read(results)["two"]


def test_tests_of_pairs_with_ties_gaps_and_equals():
    one = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    two = one + np.array([1, 1, -1, 2, 2, 0, 1, 1, 3, 0.0])
    assert signed_rank(one, two) == wilcoxon(one, two).pvalue
    for scale in (2.0**-100, 2.0**100):
        assert signed_rank(scale * one, scale * two) == signed_rank(one, two)
    gap = two.copy()
    gap[[0, 3]] = np.nan
    kept = ~np.isnan(gap)
    assert signed_rank(one, gap) == wilcoxon(one[kept], two[kept]).pvalue
    assert signed_rank(one, one) == 1
    assert signed_rank(one[:5], one[:5] + 1) is None  # five pairs cannot show anything
    assert signed_rank(one, np.where(one > 4, one, one + 1)) is None  # four that differ
    infinite = np.where(one > 8, np.inf, one)
    assert signed_rank(infinite, infinite) == 1
    assert signed_rank(one, infinite) is None
    assert paired_t([1, 2], [2, 3]) is None
    assert paired_t([1, 2, 3], [1, 2, 3]) == 1
    assert paired_t([1, 2, 3], [2, 3, 4]) is None  # no chance in it
    assert paired_t([1, 2, 3], [2, 3, math.inf]) is None
    for scale in (1e-30, 1.0, 1e30):
        found = paired_t(scale * np.array([1, 2, 4]), scale * np.array([2, 5, 6]))
        assert found == pytest.approx(ttest_rel([1, 2, 4], [2, 5, 6]).pvalue)


def test_metrics_that_are_asked_for(results):
    rows = read(results, metrics=("per-channel", "r2"))
    assert float(rows["one"]["worst channel"]) == pytest.approx(10 * float(rows["one"]["relative_l2"]), rel=1e-6)
    assert "(u_x)" in table(results, metrics=("per-channel",))
    assert float(rows["one"]["r2"]) < 1
    assert list(read(results, metrics=("r2",))) == ["one", "two", "mean"]  # of R² more is better
    results["comparison"] = {"metrics": ["relative_l2/u_x"]}
    results["baselines"] = {}
    found = float(read(results)["two"]["test error"])
    assert found == pytest.approx(10 * float(read(results, metrics=("relative_l2",))["two"]["test error"]), rel=1e-6)
    with pytest.raises(ValueError, match=r"unknown metric 'rmse'; choose from \['relative_l2', .*'per-channel'\]"):
        table(results, metrics=("rmse",))
    with pytest.raises(ValueError, match=r"format='pdf'; choose from \['markdown', 'csv', 'latex', 'html'\]"):
        table(results, "pdf")


def test_what_has_no_error_is_said(results):
    for run in results["runs"]:
        errors = errors_of(0, 0.1)
        errors[[3, 7]] = math.nan
        if run["model"] == "two":
            errors[5] = math.inf
        run |= summaries(Scores({"relative_l2": torch.tensor(errors)}), (), SAMPLES)
    results["baselines"] = {}
    text = table(results)
    assert "Of 12 test samples 2 (number 3, 7) have no relative_l2" in text
    assert "two, seed 1: relative_l2 is infinite for 1 test samples." in text
    rows = read(results)
    assert float(rows["one"]["test error"]) == pytest.approx(np.nanmean(np.delete(errors_of(0, 0.1), [3, 7])), rel=1e-6)
    assert (
        rows["two"]["test error"],
        next(line for line in text.splitlines() if "| two" in line).split("|")[2].strip(),
    ) == ("", "inf")
    for run in results["runs"]:
        run |= summaries(Scores({"relative_l2": torch.full((12,), math.nan)}), (), SAMPLES)
    assert read(results)["one"]["test error"] == ""
    assert "n/a" in table(results)


def test_what_has_no_error_is_said_of_every_metric_and_every_run(results):
    """Number 4 has no error in one channel, number 7 none by a user's metric of one run, number 2 none at all."""
    for run in results["runs"]:
        one, own = torch.tensor(errors_of(0, 0.1)), torch.ones(12)
        one[2], own[2] = math.nan, math.nan
        two = 10 * one
        two[4] = math.nan
        if run["model"] == "two" and run["seed"] == 1:
            own[7] = math.nan
        scores = {"relative_l2": one, "relative_l2/0": one, "relative_l2/1": two, "own:band": own}
        run |= summaries(Scores(scores), ("p", "u"), SAMPLES)
    results["baselines"] = {}
    lines = table(results, metrics=("per-channel", "own:band")).splitlines()
    zero = "as their target is zero or constant; they are left out."
    assert f"Of 12 test samples 1 (number 2) have no relative_l2, relative_l2/p, {zero}" in lines
    assert f"Of 12 test samples 2 (number 2, 4) have no relative_l2/u, {zero}" in lines
    assert "two, seed 1: of 12 test samples 2 (number 2, 7) have no own:band; they are left out." in lines
    assert sum("own:band; they" in line for line in lines) == 2
    row = read(results, metrics=("per-channel", "own:band"))["two"]
    assert [row[f"{name} left out"] for name in ("relative_l2", "worst channel", "own:band")] == ["1", "2", "2"]
    assert "median left out" not in row
    found = said(results["runs"][0])
    assert found.count(" (1 of 12 samples have none: number 2)") == 2  # the joint error, and p's
    assert found.endswith("(2 of 12 samples have none: number 2, 4)")


def test_a_perfect_baseline_divides_nothing(results):
    results["baselines"]["mean"] |= summaries(Scores({"relative_l2": torch.zeros(12)}), (), SAMPLES)
    assert read(results)["one"]["vs best trivial"] == ""
    assert read(results)["mean"]["test error"] == "0"


def test_latex_is_escaped(results):
    for run in results["runs"]:
        run["model"] = {"one": "my_model#1", "two": "a&b"}[run["model"]]
    lines = table(results, "latex", ("per-channel",)).splitlines()
    assert r"\begin{tabular}{l" in "\n".join(lines)
    body = lines[lines.index(r"\toprule") + 1 : lines.index(r"\bottomrule")]
    assert body[0].startswith(r"model & relative\_l2 & median & worst channel & ")
    assert body[2].startswith(r"my\_model\#1 & ")
    assert r"\% $\pm$ " in body[2]
    assert r"(u\_x)" in body[2]
    assert body[3].startswith(r"a\&b & ")
    columns = [line.replace(r"\&", "").count("&") for line in body if line != r"\midrule"]
    assert set(columns) == {len(next(line for line in lines if "tabular" in line).partition("}{")[2]) - 2}
    assert all(line.startswith("%") for line in lines[: lines.index(next(line for line in lines if "tabular" in line))])


def test_percent_keeps_two_digits_of_what_is_small():
    shown = {0.03217: "3.22%", 0.5: "50.0%", 0.0: "0.00%", 3.2e-4: "0.032%", 1.234e-9: "1.2e-07%", 1e30: "1e+32%"}
    assert {value: percent(value) for value in shown} == shown
    assert percent(None) == percent(math.nan) == "n/a"
    assert percent(math.inf) == "inf%"


def write(path, found):
    write_json(path, found)
    return path.parent


def test_results_are_gathered_from_files(results, tmp_path):
    whole = write(tmp_path / "compare/results.json", results)
    single = write(tmp_path / "wide/result.json", result("one", 0, errors_of(5, 0.05), config={"hidden_channels": 9}))
    other = write(tmp_path / "more/result.json", result("two", 3, errors_of(3, 0.2)))
    found = gather([whole, single / "result.json", other])
    assert [(run["model"], run["seed"]) for run in found["runs"]][3:] == [
        *(("two", seed) for seed in range(3)),
        ("one (wide)", 0),
        ("two", 3),
    ]
    assert list(found["baselines"]) == ["mean", "ridge"]
    assert table(found)
    assert len(gather([whole, whole])["runs"]) == 6

    changed = copy.deepcopy(results["runs"][0]) | {"parameters": 7}
    with pytest.raises(ValueError, match="holds 'one' with seed 0, of which there is another result"):
        gather([whole, write(tmp_path / "again/result.json", changed)])
    changed["data"]["digest"] = "e"
    with pytest.raises(ValueError, match=r"are not of the same test samples .digest 'd' and 'e'"):
        gather([whole, write(tmp_path / "other/result.json", changed)])
    for foreign in ({}, {"runs": []}, {"data": {}, "runs": [3]}):
        write(tmp_path / "again/result.json", foreign)
        with pytest.raises(ValueError, match=r"again/result\.json is no result of compare or train"):
            gather([tmp_path / "again"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty holds no results\.json or result\.json"):
        gather([tmp_path / "empty"])
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        gather([tmp_path / "nothing"])
    with pytest.raises(ValueError, match="no runs are given"):
        gather([])
