"""Write a network as ONNX or torch.export, and compare the file with the network before it is kept."""

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bam_core import __version__
from bam_core.config.registry import extra
from bam_core.errors import DataError, InputError, OutputError
from bam_core.export.network import Source, as_before, open_source
from bam_core.outputs import make_folder, written

Format = Literal["onnx", "torch"]
SUFFIXES: Mapping[str, str] = {"onnx": ".onnx", "torch": ".pt2"}
TOLERANCE = 1e-5
METADATA = "bam"


class Exported(NamedTuple):
    """A file that was written.

    Attributes:
        path: of the file.
        inputs: name -> what it is.
        output: its name.
        dynamic: names of the axes whose length may differ.
        difference: largest to the network before, relative where values are larger than one.
        n_rows: rows that were compared.
    """

    path: Path
    inputs: dict[str, str]
    output: str
    dynamic: tuple[str, ...]
    difference: float
    n_rows: int


def export(
    folder: Path,
    to: Format = "onnx",
    output: Path | None = None,
    *,
    teacher: bool = False,
    trusted: bool = False,
    seed: int = 0,
) -> Exported:
    """Write a trained network with its preprocessing as one file.

    The file is run on random rows, several at a time and one alone, and of other lengths where these are free. It is
    kept only if it says the same as the network.

    Args:
        folder: of a run, of a fine-tuning, or of a saved encoder or model.
        to: "onnx" for ONNX Runtime and others, or "torch" for `torch.export.load`.
        output: file; default: encoder.onnx or model.onnx in the folder, or .pt2.
        teacher: of a run, take the teacher's encoder.
        trusted: run the Python files that it names.
        seed: of the random rows.

    Raises:
        InputError: another format, or a modality that does not say what a network takes.
        DataError: the network cannot be exported, or the file says something else.
        MissingExtraError: packages of the extra `export` are not installed.
    """
    if to not in SUFFIXES:
        raise InputError(f"export expected one of {', '.join(SUFFIXES)}; got {to!r}.")
    source = open_source(folder, teacher=teacher, trusted=trusted, seed=seed)
    if to == "onnx":
        with extra("export", "bam export --to onnx"):
            import onnx  # noqa: F401
            import onnxruntime  # noqa: F401
            import onnxscript  # noqa: F401
    name = "encoder" if source.module.output == "embeddings" else "model"
    path = folder / f"{name}{SUFFIXES[to]}" if output is None else output
    make_folder(path.parent)
    wishes = [source.input.dynamic] if not any(source.input.dynamic.values()) else [source.input.dynamic, {}]
    problems = []
    for dynamic in wishes:
        try:
            with written(path) as partial, _quietly():
                program = torch.export.export(
                    source.module, tuple(source.input.examples.values()), dynamic_shapes=_shapes(source, dynamic)
                )
                _write(program, source, to, partial, dynamic)
                difference, n_rows = _compared(source, to, partial, dynamic)
            return Exported(path, dict(source.input.about), source.module.output, _free(dynamic), difference, n_rows)
        except OutputError:
            raise
        except Exception as error:  # whatever torch, onnxscript and onnxruntime make of a network
            problems.append(f"\n  with {' and '.join(_free(dynamic))} free: {type(error).__name__}: {_short(error)}")
    raise DataError(f"{str(folder)!r} cannot be exported to {to}; nothing was written.{''.join(problems)}")


def _shapes(source: Source, dynamic: Mapping[str, Mapping[int, str]]) -> Any:
    batch = torch.export.Dim("batch")
    names = dict.fromkeys(name for axes in dynamic.values() for name in axes.values())
    known = dict.fromkeys(names, torch.export.Dim.DYNAMIC)
    shapes = tuple(
        {0: batch, **{axis: known[name] for axis, name in dynamic.get(key, {}).items()}}
        for key in source.input.examples
    )
    return {"arrays": shapes}


def _free(dynamic: Mapping[str, Mapping[int, str]]) -> tuple[str, ...]:
    """Names of the axes whose length may differ."""
    return tuple(dict.fromkeys(["batch", *(name for axes in dynamic.values() for name in axes.values())]))


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def about(source: Source, dynamic: Mapping[str, Mapping[int, str]]) -> dict[str, Any]:
    """What the file says of itself, as plain values.

    Args:
        source: what is exported.
        dynamic: axes whose length may differ.
    """
    inputs = {
        name: {"shape": _shape(name, values, dynamic), "type": str(values.dtype).removeprefix("torch."), "is": said}
        for (name, values), said in zip(source.input.examples.items(), source.input.about.values(), strict=True)
    }
    return {
        "bam-ssl": __version__,
        "modality": source.saved.config["modality"],
        "encoder": source.saved.config["encoder"]["name"],
        "inputs": inputs,
        "output": source.module.output,
        "classes": list(source.classes),
    }


def _shape(name: str, values: Tensor, dynamic: Mapping[str, Mapping[int, str]]) -> list[str | int]:
    free = {0: "batch", **dynamic.get(name, {})}
    return [free.get(axis, size) for axis, size in enumerate(values.shape)]


def _write(
    program: torch.export.ExportedProgram,
    source: Source,
    to: Format,
    path: Path,
    dynamic: Mapping[str, Mapping[int, str]],
) -> None:
    text = json.dumps(about(source, dynamic))
    if to == "torch":
        content = BytesIO()
        torch.export.save(program, content, extra_files={METADATA: text})
        path.write_bytes(content.getvalue())
        return
    import onnx

    made: Any = torch.onnx.export(
        program, (), input_names=list(source.input.examples), output_names=[source.module.output], dynamo=True,
        verbose=False,
    )  # fmt: skip
    model = made.model_proto
    onnx.helper.set_model_props(model, {METADATA: text})
    path.write_bytes(model.SerializeToString())


def _compared(source: Source, to: Format, path: Path, dynamic: Mapping[str, Mapping[int, str]]) -> tuple[float, int]:
    """Run the file and compare; all rows, one row, and shorter ones.

    Raises:
        DataError: it says something else.
    """
    run = _runner(to, path)
    names, arrays = list(source.input.examples), list(source.input.examples.values())
    n = len(arrays[0])
    expected = as_before(source, n)
    found = [(expected, run(dict(zip(names, arrays, strict=True))))]
    found.append((expected[:1], run({name: values[:1] for name, values in zip(names, arrays, strict=True)})))
    if any(dynamic.values()):
        short = {name: _shortened(values, dynamic.get(name, {})) for name, values in zip(names, arrays, strict=True)}
        with torch.no_grad():
            found.append((source.module(*short.values()).numpy(), run(short)))
    worst = 0.0
    for before, now in found:
        scale = max(1.0, float(np.abs(before).max()))
        worst = max(worst, float(np.abs(before - now).max()) / scale)
    if not worst <= TOLERANCE:
        raise DataError(
            f"the file says something else than the network: the largest difference is {worst:.2g}, more than "
            f"{TOLERANCE:g}"
        )
    return worst, sum(len(before) for before, _ in found)


def _shortened(values: Tensor, axes: Mapping[int, str]) -> Tensor:
    """Three quarters of every free axis; lengths that would be beyond are shorter as well."""
    for axis in axes:
        values = values.narrow(axis, 0, max(2, values.shape[axis] * 3 // 4))
    return values if axes or values.ndim > 1 else values * 3 // 4


def _runner(to: Format, path: Path) -> Callable[[Mapping[str, Tensor]], np.ndarray]:
    if to == "torch":
        module = torch.export.load(BytesIO(path.read_bytes())).module()
        return lambda arrays: np.asarray(module(*arrays.values()).detach().numpy())
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    taken = {one.name for one in session.get_inputs()}
    return lambda arrays: np.asarray(
        session.run(None, {name: values.numpy() for name, values in arrays.items() if name in taken})[0]
    )


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what the exporters tell of their inner works."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
