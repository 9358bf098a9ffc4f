"""Saved encoders: safetensors and a readable config, back in one line.

>>> from bam_core import PretrainedEncoder
>>> encoder = PretrainedEncoder.from_pretrained("runs/my_run/encoder")  # doctest: +SKIP
>>> embeddings = encoder(batch)  # doctest: +SKIP
"""

import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, cast

import yaml
from huggingface_hub import ModelCard, PyTorchModelHubMixin
from safetensors.torch import save_model
from torch import Tensor, nn

from bam_core.config.registry import choose, load_modality
from bam_core.config.trust import check_trusted, files_in
from bam_core.errors import BAMError, DataError
from bam_core.outputs import explained, make_folder, sync, write_text
from bam_core.probes.results import Results
from bam_core.runs.model_card import EVALUATION, card_text, evaluation_of

Loaded = TypeVar("Loaded", bound="PretrainedEncoder")


class PretrainedEncoder(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="bam-ssl",
    repo_url="https://pypi.org/project/bam-ssl",
    tags=["self-supervised-learning", "bam"],
):
    """An encoder with all that is needed to build it again and to feed it.

    Save with `save_pretrained(folder)`, load with `PretrainedEncoder.from_pretrained(folder)`; both come from the
    Hugging Face hub mixin, as does `push_to_hub`. A folder is read offline.

    Args:
        modality: name of a modality.
        encoder: `name` of its encoder and all options.
        facts: about the data that it was trained on; `Modality.collate` uses them.
        source: where it comes from: recipe, data, steps, seed.
        trusted: a config may name a modality or an encoder in a Python file (`file.py:NAME`), which is run when this is
            true, or when `bam_core.config.trust` knows it from this machine.

    Raises:
        RecipeError: a Python file that is not trusted, or names are unknown.
        DataError: in `from_pretrained`, weights that are missing or do not fit.

    Shape:
        What the encoder takes, (b, ...) -> (b, d).
    """

    def __init__(
        self,
        modality: str,
        encoder: dict[str, Any],
        facts: dict[str, Any] | None = None,
        source: dict[str, Any] | None = None,
        trusted: bool = False,
    ) -> None:
        super().__init__()
        check_trusted(files_in([modality, encoder]), where="this encoder", trusted=trusted)
        self.config.pop("trusted", None)  # who loads it decides anew
        self.facts = facts or {}
        self.modality = load_modality(modality).with_facts(self.facts)
        self.source = source or {}
        options = dict(encoder)
        factory = choose("encoder", options.pop("name"), self.modality.encoders, open_to="encoder")
        self.encoder = factory(**options)
        self.eval()

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> str | None:
        """Write weights, config and model card; what the folder held before stays until all of them are on disk.

        Args:
            save_directory: folder to write into; it is made if it is not there.
            options: `config`, `repo_id`, `push_to_hub` and others of the Hugging Face hub mixin.

        Returns:
            With `push_to_hub`, the address.

        Raises:
            OutputError: a full disk, or a folder that must not be written to.
        """
        folder = make_folder(Path(save_directory))
        with explained(folder), TemporaryDirectory(prefix=".partial-", dir=folder) as partial:
            said: str | None = super().save_pretrained(partial, **{"repo_id": folder.name, **options})
            for file in Path(partial).iterdir():
                sync(file)
                file.replace(folder / file.name)
        return said

    def generate_model_card(self, *args: Any, **options: Any) -> ModelCard:
        """What it is, from which data and views, labels that it is no good for, figures, licence.

        Args:
            *args: none.
            **options: `license`, as Hugging Face abbreviates it, such as "cc-by-4.0"; from `model_card_kwargs` of
                `save_pretrained` and `push_to_hub`.
        """
        licence = options.get("license")
        data: dict[str, Any] = self._hub_mixin_info.model_card_data.to_dict()  # type: ignore[no-untyped-call]
        data |= {"license": licence} if licence else {}
        text = card_text(self.config, self.modality, kind=type(self).__name__, licence=licence)
        return ModelCard(f"---\n{yaml.safe_dump(data, sort_keys=False, allow_unicode=True)}---\n\n{text}")

    def add_evaluation(self, folder: Path, results: Results, ours: str | None = None) -> None:
        """Keep a table with the saved network, in its config and card.

        Args:
            folder: that it was loaded from.
            results: the table.
            ours: which set of features the words are about; default: the last.
        """
        self.source = {**self.source, EVALUATION: evaluation_of(results, ours)}
        self.config["source"] = self.source
        write_text(folder / "config.json", json.dumps(self.config, sort_keys=True, indent=2))
        write_text(folder / "README.md", str(self.generate_model_card()))

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write the weights, with the rights of the user's umask; safetensors alone makes them the user's only."""
        weights = save_directory / "model.safetensors"
        weights.touch()
        mode = weights.stat().st_mode
        save_model(self, str(weights))
        weights.chmod(mode)

    @classmethod
    def from_pretrained(cls: type[Loaded], pretrained_model_name_or_path: str | Path, **options: Any) -> Loaded:
        """Load what `save_pretrained` wrote.

        Args:
            pretrained_model_name_or_path: a folder, or the name of a repository on the Hugging Face hub.
            options: `trusted`, see the class; `local_files_only`, `revision` and others of the hub mixin.

        Raises:
            DataError: config or weights are missing, damaged, or do not fit each other.
            RecipeError: the modality is a Python file that is not trusted, or names are unknown.
        """
        try:
            loaded: Loaded = super().from_pretrained(pretrained_model_name_or_path, **options)
        except (BAMError, OSError):
            raise
        except Exception as error:  # whatever JSON, safetensors or the encoder make of a damaged file
            raise DataError(
                f"{str(pretrained_model_name_or_path)!r} expected the config.json and the model.safetensors of an "
                f"encoder; they are damaged, or of another version ({type(error).__name__}: {error})."
            ) from error
        return loaded

    @classmethod
    def _from_pretrained(cls: type[Loaded], *, model_id: str, strict: bool = True, **kwargs: Any) -> Loaded:
        """Load weights; unlike the mixin's default, every tensor must find its place.

        Raises:
            DataError: the folder holds no weights, or weights of another network.
        """
        try:
            with redirect_stdout(StringIO()):
                loaded: Loaded = super()._from_pretrained(model_id=model_id, strict=strict, **kwargs)
        except FileNotFoundError as error:
            raise DataError(f"expected an encoder's model.safetensors in {model_id!r}; there is none.") from error
        except RuntimeError as error:
            raise DataError(
                f"the weights in {model_id!r} are not those of the network that its config.json describes. Another "
                f"version of the encoder may have written them: {error}"
            ) from error
        return loaded

    @property
    def config(self) -> dict[str, Any]:
        """The arguments, as they are saved."""
        return cast(dict[str, Any], self._hub_mixin_config)

    def forward(self, batch: Any) -> Tensor:
        """Embeddings, (b, d)."""
        embeddings: Tensor = self.encoder(batch)
        return embeddings
