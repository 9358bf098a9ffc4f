"""Tables with numbers, categories and dates; views that corrupt and mask them; MLP and feature transformer."""

from bam_core.data.text_files import PACKED
from bam_core.protocols import Modality
from modalities.tabular.baselines import BASELINES
from modalities.tabular.batches import collate_rows, draw_row, raw_row
from modalities.tabular.data import read_table
from modalities.tabular.encoders import FeatureTransformer, MLPEncoder
from modalities.tabular.example import read_breast_cancer, synthetic_table
from modalities.tabular.export import export_input
from modalities.tabular.files import PARQUET
from modalities.tabular.memory import from_memory, read_frame, to_files
from modalities.tabular.views import LABEL_RISKS, TabularViews

TEXT = (".csv", ".tsv", ".txt", ".data", ".test")

MODALITY = Modality(
    name="tabular",
    readers={
        "table": read_table,
        "frame": read_frame,
        "breast_cancer": read_breast_cancer,
        "example": synthetic_table,
    },
    reader_for_suffix=dict.fromkeys((*TEXT, *(kind + packed for kind in TEXT for packed in PACKED), *PARQUET), "table"),
    views={"tabular": TabularViews},
    encoders={"mlp": MLPEncoder, "ft_transformer": FeatureTransformer},
    collate=collate_rows,
    raw_features=raw_row,
    example=synthetic_table,
    draw=draw_row,
    label_risks=LABEL_RISKS,
    from_memory=from_memory,
    to_files=to_files,
    export_input=export_input,
    baselines=BASELINES,
    columns_are_features=True,
)
