"""What a run costs, from what one sample costs: plain arithmetic, no torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Counted:
    """What two steps of different size have shown; see `bam_core.planning.dry_run`.

    Attributes:
        parameters: of the student, encoder and projector.
        trained: those of them that are not frozen.
        encoder_parameters: of the encoder.
        teacher_parameters: of the teacher; 0 without one.
        n_views: views of a sample.
        n_columns: of them those that the others are compared with, per sample; 0 for objectives that compare none.
        width: of the projections.
        iterations: of the balancing.
        tokens: of a sample, that the student's encoder sees; None for networks without attention.
        flops: floating point operations of a step for each sample: views, student (both directions), teacher.
        forward_flops: those of them in the forward pass of the student's encoder.
        activation_bytes: kept for the backward pass, for each sample.
        constant_bytes: kept for the backward pass whatever the batch, such as weights in half precision.
        view_bytes: of the views of a sample, as the encoder gets them.
        largest_view: part of these bytes that is one of the largest views.
    """

    parameters: int
    trained: int
    encoder_parameters: int
    teacher_parameters: int
    n_views: int
    n_columns: int
    width: int
    iterations: int
    tokens: int | None
    flops: float
    forward_flops: float
    activation_bytes: float
    constant_bytes: float
    view_bytes: float
    largest_view: float


@dataclass(frozen=True)
class Size:
    """Of a run: the global batch, devices, samples of the data set, passes over it, rows in memory at a time."""

    batch_size: int
    devices: int
    samples: int
    epochs: int
    micro_batch: int | None = None

    @property
    def per_device(self) -> float:
        """Samples of a step on each device."""
        return self.batch_size / self.devices

    @property
    def steps(self) -> int:
        """Of the whole run; a last smaller batch is left out, and a data set smaller than a batch is one."""
        return max(1, self.samples // self.batch_size) * self.epochs


def step_flops(counted: Counted, size: Size) -> float:
    """Floating point operations of a step on all devices.

    The network's grow with the batch, those of the comparison of all rows with all columns with its square: scores,
    and gradients to both sides or the teacher's scores. In micro-batches the student's encoder goes forward twice.
    """
    rows, columns = counted.n_views * size.batch_size, counted.n_columns * size.batch_size
    again = size.micro_batch is not None and size.micro_batch < counted.n_views * size.per_device
    each = counted.flops + again * counted.forward_flops
    return each * size.batch_size + 6 * rows * columns * counted.width


def communicated_bytes(counted: Counted, size: Size) -> dict[str, float]:
    """Bytes that each device receives in a step, by what they are; docs/scaling.md derives them."""
    others = (size.devices - 1) / size.devices
    columns = counted.n_columns * size.batch_size
    received = {
        "columns": 4 * columns * counted.width * others,
        "gradients of the columns": 0.0 if counted.teacher_parameters else 8 * columns * counted.width * others,
        "column totals": 4 * columns * counted.iterations * (size.devices - 1),
        "gradients of the network": 8 * counted.trained * others,
    }
    return {name: float(value) for name, value in received.items()}


def memory_bytes(counted: Counted, size: Size) -> dict[str, float]:
    """Bytes on each device at the peak of a step, by what they are; an estimate, without the allocator's waste."""
    at_once = size.per_device
    if size.micro_batch is not None:
        at_once = min(at_once, size.micro_batch * counted.largest_view)
    scores = 4 * counted.n_views * size.per_device * counted.n_columns * size.batch_size
    bucket = 4 * counted.trained if size.devices > 1 else 0
    held = {
        "weights, gradients, AdamW": 4 * counted.parameters + 12 * counted.trained + bucket,
        "teacher": 4 * counted.teacher_parameters,
        "weights in half precision and the like": counted.constant_bytes,
        "views": 2 * counted.view_bytes * size.per_device,
        "activations": counted.activation_bytes * at_once,
        "scores": 3 * scores,
    }
    return {name: float(value) for name, value in held.items()}


def hours(counted: Counted, size: Size, *, tflops: float, efficiency: float) -> float:
    """Of the whole run, if the devices reach that part of their peak and data come as fast.

    Args:
        counted: of one sample.
        size: of the run.
        tflops: peak of one device in the precision of the run, in 10^12 operations a second.
        efficiency: part of it that is reached, in (0, 1].
    """
    return size.steps * step_flops(counted, size) / (size.devices * tflops * 1e12 * efficiency) / 3600
