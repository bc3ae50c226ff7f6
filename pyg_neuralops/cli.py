"""The command line: ``pyg-neuralops data | train | evaluate | predict | compare``.

A user's mistake is one line on stderr and exit code 2; with ``--debug``, or ``PYG_NEURALOPS_DEBUG=1``, its
traceback follows. Whatever loads torch is imported inside the commands, so that ``-h`` answers at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from .study.settings import Comparison, DataChoice, ModelChoice, Recipe

INTERRUPTED, MISTAKE, FAILURE = 130, 2, 1


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    num_samples: int | None = None
    """Samples to generate, all splits together."""
    points: int | None = None
    """Points per sample, about (irregular sets)."""
    resolution: int | None = None
    """Nodes per side (gridded sets)."""
    data_seed: int | None = None
    """Seed of the generator."""
    data_args: tuple[str, ...] = ()
    """Further arguments of the dataset, as name=value."""
    protocol: str = "standard"
    """standard: select on val, read test once; paper: no val, keep the last epoch."""
    split_seed: int = 0
    """Fixes the random split of a file that brings none."""
    root: str | None = None
    """Folder of the data, or of a file's cache."""
    workers: int | None = None
    """Processes that generate; all cores by default."""

    def choice(self, dataset: str) -> DataChoice:
        named = {
            "num_samples": self.num_samples,
            "points": self.points,
            "resolution": self.resolution,
            "seed": self.data_seed,
        }
        arguments = {name: value for name, value in named.items() if value is not None}
        return DataChoice(
            dataset=dataset,
            dataset_args={**arguments, **_pairs(self.data_args)},
            protocol=self.protocol,
            split_seed=self.split_seed,
            root=self.root,
            workers=self.workers,
        )


@dataclass(frozen=True, kw_only=True)
class DataOptions(SourceOptions):
    dataset: str
    """A dataset's name (`pyg-neuralops data` lists them) or the path of an .h5 file."""

    @classmethod
    def from_choice(cls, choice: DataChoice) -> DataOptions:
        names = {"dataset", "protocol", "split_seed", "root", "workers"}
        pairs = tuple(f"{name}={json.dumps(value)}" for name, value in choice.dataset_args.items())
        return cls(**{name: getattr(choice, name) for name in names}, data_args=pairs)


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(Recipe):
    epochs: int | None = None
    """Budget in epochs; 20 unless --seconds is given."""
    seconds: float | None = None
    """Budget in seconds of pure training, the same for every model."""

    def __post_init__(self) -> None:
        if self.epochs is None and self.seconds is None:
            object.__setattr__(self, "epochs", 20)
        super().__post_init__()


@dataclass(frozen=True)
class Data:
    """Generate a dataset (or read a file) and say what is in it; without a name, list the datasets."""

    dataset: tyro.conf.Positional[str] = ""
    """The dataset's name, or the path of an .h5 file."""
    source: SourceOptions = field(default_factory=SourceOptions)

    resumable = True

    def run(self) -> None:
        from .study.data import load_splits

        if not self.dataset:
            _list_datasets()
            return
        print(load_splits(self.source.choice(self.dataset)).describe())


@dataclass(frozen=True)
class Train:
    """Train one model; started again with the same arguments, an interrupted run goes on."""

    data: DataOptions
    training: TrainingOptions = field(default_factory=TrainingOptions)
    size: ModelChoice = field(default_factory=ModelChoice)
    model: str = "la2former"
    """A registry name, or package.module:Class (the current folder is searched too)."""
    model_args: tuple[str, ...] = ()
    """Further arguments of the model, as name=value."""
    from_: Annotated[str | None, tyro.conf.arg(name="from")] = None
    """A checkpoint to train on from: its model and weights are taken, --model and the size are not."""
    replace: tuple[str, ...] = ()
    """With --from, parts to start anew where channels differ: encoder, decoder."""
    seed: int = 0
    """Of initial weights and batches."""
    out: str = "runs/train"
    """Folder of the run: best.safetensors, result.json, history.csv, last.ckpt."""

    resumable = True

    def run(self) -> None:
        from .checkpoint import load_info
        from .models import build_model
        from .study.data import load_splits
        from .study.run import check_run_folder, prepare, train_run
        from .study.table import percent

        out = Path(self.out)
        check_run_folder(out)
        splits = load_splits(self.data.choice(self.data.dataset))
        if self.replace and self.from_ is None:
            raise ValueError(f"replace={list(self.replace)} needs --from")
        if self.from_ is None:
            name, kwargs = self.model, dataclasses.asdict(self.size)
        else:
            found = load_info(self.from_)
            name = found["model"]
            kwargs = {key: value for key, value in found["config"].items() if key not in splits.shape}
        kwargs = {key: value for key, value in kwargs.items() if value is not None} | _pairs(self.model_args)
        prepared = prepare(build_model(name, **splits.shape, **kwargs), splits)
        recipe = Recipe(**dataclasses.asdict(self.training))
        result = train_run(
            splits,
            prepared,
            name,
            kwargs,
            recipe,
            self.seed,
            out,
            initial=self.from_,
            replace=self.replace,
            title=f"{name}: ",
        )
        val = "" if result["best_val"] is None else f", validation error {percent(result['best_val'])}"
        print(
            f"{name}: test error {percent(result['test']['mean'])} (median "
            f"{percent(result['test']['median'])}){val}, best epoch {result['best_epoch']} of {result['epochs']}, "
            f"{result['parameters']:,} parameters, {result['train_seconds']:.0f} s of training"
        )
        print(f"model: {out / 'best.safetensors'}, result: {out / 'result.json'}")


@dataclass(frozen=True)
class Evaluate:
    """Errors of a trained model on a dataset."""

    data: DataOptions
    checkpoint: str
    """A model's file, such as runs/train/best.safetensors."""
    split: str = "test"
    """train, val or test."""
    batch_size: int = 8
    """Samples in a batch."""
    max_nodes: int | None = None
    """Most nodes in a batch."""
    accelerator: str = "auto"
    """auto, cpu, gpu ..."""
    out: str | None = None
    """The JSON file to write; errors-<split>.json beside the checkpoint by default."""
    trust_import: bool = False
    """Allow the checkpoint to name a class of your own, which is then imported."""

    def run(self) -> None:
        from .checkpoint import load_model
        from .data import mesh_loader
        from .engine import evaluate
        from .study.data import load_splits
        from .study.provenance import environment, write_json
        from .study.run import check_channels, compute_device, summary
        from .study.table import percent

        model = load_model(self.checkpoint, trust_import=self.trust_import)
        splits = load_splits(self.data.choice(self.data.dataset))
        parts = {"train": splits.train, "val": splits.val, "test": splits.test}
        samples = parts.get(self.split)
        if not samples:
            there = [name for name, part in parts.items() if part]
            raise ValueError(f"split={self.split!r}; choose from {there}")
        check_channels(model, samples[0])
        loader = mesh_loader(samples, self.batch_size, max_nodes=self.max_nodes)
        errors = summary(evaluate(model, loader, device=compute_device(self.accelerator)))
        out = Path(self.out) if self.out else Path(self.checkpoint).with_name(f"errors-{self.split}.json")
        write_json(
            out,
            {
                "checkpoint": self.checkpoint,
                "split": self.split,
                "data": splits.info,
                "errors": errors,
                "environment": environment(),
            },
        )
        low, high = errors["quantiles"]["0.05"], errors["quantiles"]["0.95"]
        print(
            f"relative L2 on {len(samples)} {self.split} samples: mean {percent(errors['mean'])}, median "
            f"{percent(errors['median'])}, 5% to 95%: {percent(low)} to {percent(high)}"
        )
        print(f"errors: {out}")


@dataclass(frozen=True)
class Predict:
    """Predictions of a trained model for the samples of a file; fields y need not be there."""

    checkpoint: str
    """A model's file, such as runs/train/best.safetensors."""
    input: str
    """An .h5 file of samples."""
    output: str
    """The .h5 file to write: the same samples, cells and inputs, with the prediction as y."""
    picture: str | None = None
    """Also draw one sample, to this .png (or .pdf, .svg) file."""
    sample: int = 0
    """Which sample to draw."""
    batch_size: int = 8
    """Samples in a batch."""
    accelerator: str = "auto"
    """auto, cpu, gpu ..."""
    overwrite: bool = False
    """Replace an output file that is there."""
    trust_import: bool = False
    """Allow the checkpoint to name a class of your own, which is then imported."""

    def run(self) -> None:
        from .study.predict import predict_file
        from .study.table import percent

        errors = predict_file(
            self.checkpoint,
            self.input,
            self.output,
            picture=self.picture,
            sample=self.sample,
            batch_size=self.batch_size,
            accelerator=self.accelerator,
            overwrite=self.overwrite,
            trust_import=self.trust_import,
        )
        print(f"predictions: {self.output}" + (f", picture: {self.picture}" if self.picture else ""))
        if errors is not None:
            print(f"the input has y; relative L2: mean {percent(float(errors.mean()))}")


@dataclass(frozen=True)
class Compare:
    """Compare models on one dataset at a matched budget, with trivial baselines in the same table.

    Started again with the same arguments, finished runs are kept and an interrupted one goes on.
    """

    data: DataOptions
    training: TrainingOptions = field(default_factory=TrainingOptions)
    size: ModelChoice = field(default_factory=ModelChoice)
    models: tuple[str, ...] = ("la2former", "mesh-graph-net", "graph-sage", "gatv2")
    """Registry names, or package.module:Class (the current folder is searched too)."""
    seeds: int = 1
    """Number of seeds."""
    seed: int = 0
    """The first seed."""
    out: str = "runs/comparison"
    """Folder of the results: table.md, results.json, error_vs_time.png, fields.png."""
    overrides: tyro.conf.Suppress[dict[str, Any]] = field(default_factory=dict)
    recipe: str | None = None
    """A TOML file of settings; what else is given here replaces the file's."""

    resumable = True

    def run(self) -> None:
        from .study.comparison import compare

        compare(
            Comparison(
                **vars(self.data.choice(self.data.dataset)),
                **dataclasses.asdict(self.training),
                **dataclasses.asdict(self.size),
                models=self.models,
                seeds=self.seeds,
                seed=self.seed,
                out=self.out,
                overrides=self.overrides,
            )
        )
        out = Path(self.out)
        print("\n" + (out / "table.md").read_text())
        print(f"results: {out / 'results.json'}, figures: {out / 'error_vs_time.png'}, {out / 'fields.png'}")

    @classmethod
    def from_recipe(cls, path: str) -> Compare:
        found = Comparison.from_toml(path)
        parts = {name: {item.name for item in dataclasses.fields(part)} for name, part in _PARTS.items()}  # type: ignore[arg-type]
        groups = {name: {key: getattr(found, key) for key in keys} for name, keys in parts.items()}
        return cls(
            data=DataOptions.from_choice(found),
            training=TrainingOptions(**groups["training"]),
            size=ModelChoice(**groups["size"]),
            models=found.models,
            seeds=found.seeds,
            seed=found.seed,
            out=found.out,
            overrides=dict(found.overrides),
            recipe=path,
        )


_PARTS = {"training": Recipe, "size": ModelChoice}
Command = Data | Train | Evaluate | Predict | Compare


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words or os.environ.get("PYG_NEURALOPS_DEBUG", "") not in ("", "0")
    words = [word for word in words if word != "--debug"]
    # Before torch is loaded: with a busy core, threads that spin at every barrier make training 10 to 100 times slower.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    sys.path.append(os.getcwd())  # a user's own models; last, so that no file there hides a package
    command = None
    try:
        command = _parse(words)
        if isinstance(command, int):
            return command
        with _log_to_stderr():
            command.run()
    except KeyboardInterrupt:
        again = "; the same command again goes on from here" if hasattr(command, "resumable") else ""
        print(f"\ninterrupted{again}", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, OSError, FloatingPointError, RuntimeError) as error:
        if debug:
            traceback.print_exc()
        mistake = not isinstance(error, RuntimeError)
        print(f"error: {_one_line(error)}{'' if mistake else ' (--debug shows where)'}", file=sys.stderr)
        return MISTAKE if mistake else FAILURE
    return 0


def _parse(words: list[str]) -> Command | int:
    """The command, or the exit code when there is nothing to run (help was asked for)."""
    kind: Any = Annotated[Compare, tyro.conf.subcommand("compare")]
    if words[:1] == ["compare"] and "--recipe" in words[:-1]:
        default = Compare.from_recipe(words[words.index("--recipe") + 1])
        kind = Annotated[Compare, tyro.conf.subcommand("compare", default=default)]
    commands: Any = (
        Annotated[Data, tyro.conf.subcommand("data")]
        | Annotated[Train, tyro.conf.subcommand("train")]
        | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
        | Annotated[Predict, tyro.conf.subcommand("predict")]
        | kind
    )
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(
                commands,
                prog="pyg-neuralops",
                description="Neural operators on meshes. A command's own -h tells its options.",
                args=words or ["-h"],
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
            )
    except SystemExit as end:
        if not end.code:
            return 0
        raise ValueError(_unboxed(said.getvalue())) from None


def _unboxed(text: str) -> str:
    """A parser's message without its frame and its advice on help."""
    lines = [line.strip("│╭╮╰╯ ") for line in text.splitlines()[1:]]
    kept: list[str] = []
    for line in lines:
        if line.startswith(("For full help", "Argument helptext")):
            break
        kept.append("." if line and set(line) == {"─"} else line)
    return re.sub(r"\s*\.(\s*\.)*", ".", " ".join(kept)).strip(" .")


def _one_line(error: BaseException) -> str:
    text = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) and error.filename else str(error)
    return " ".join((text or type(error).__name__).split())


@contextlib.contextmanager
def _log_to_stderr() -> Iterator[None]:
    """Within this, what the library reports as it goes is shown."""
    logger, handler = logging.getLogger("pyg_neuralops"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _pairs(words: Sequence[str]) -> dict[str, Any]:
    """``["k=29", "local=false"] -> {"k": 29, "local": False}``; values are JSON, or else strings."""
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise ValueError(f"{word!r} is not of the form name=value")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _list_datasets() -> None:
    from .datasets import DATASETS

    for name, cls in sorted(DATASETS.items()):
        print(f"{name:20} {(cls.__doc__ or '').strip().splitlines()[0].split(': ')[0]}")


if __name__ == "__main__":
    raise SystemExit(main())
