"""BAM once more, sample by sample in numpy from the prose of the method: slow, and nothing shared with bam_core."""

import math

import numpy as np


def reference_bam(
    student, teacher=None, *, n_views, n_global=None, n_target=None, temperature=0.1, epsilon=0.025, iterations=3,
    top_k=None, mask_positives=True, positive_weight=0.0,
):  # fmt: skip
    """Loss, kl, target entropy, attention entropy, column error of one process."""
    n_global = n_global or n_views
    n_target = n_target or n_global
    b = len(student) // n_views
    unit = [row / math.sqrt(sum(x * x for x in row)) for row in student]
    unit_t = unit if teacher is None else [row / math.sqrt(sum(x * x for x in row)) for row in teacher]
    columns = [unit_t[m * b + i] for m in range(n_target) for i in range(b)]
    n, m = len(student), len(columns)
    positive = [[mask_positives and r % b == c % b for c in range(m)] for r in range(n)]

    plan = np.array([
        [0.0 if positive[r][c] else math.exp(float(unit_t[r] @ columns[c]) / epsilon) for c in range(m)]
        for r in range(n)
    ])  # fmt: skip
    for _ in range(iterations):
        plan = plan / plan.sum(0, keepdims=True)
        plan = plan / plan.sum(1, keepdims=True)
    plan = plan / plan.sum(1, keepdims=True)
    totals = plan.sum(0)
    column_error = np.abs(totals / totals.mean() - 1).max()

    targets = plan[: n_global * b].reshape(n_global, b, m)
    if top_k is not None:
        kept = np.zeros_like(targets)
        for i in range(b):
            best = np.argsort(-targets[:, i].mean(0))[:top_k]
            kept[:, i, best] = targets[:, i, best]
        targets = kept / kept.sum(-1, keepdims=True)

    log_q = np.zeros((n, m))
    for r in range(n):
        logits = np.array([float(unit[r] @ c) / temperature for c in columns])
        allowed = [c for c in range(m) if (positive_weight and c != r) or not positive[r][c]]
        top = max(logits[c] for c in allowed)
        log_sum = top + math.log(sum(math.exp(logits[c] - top) for c in allowed))
        log_q[r] = logits - log_sum
        log_q[r, [c for c in range(m) if c not in allowed]] = -math.inf
    q = np.exp(log_q)

    def target_of(v, i, a):
        """The balanced target, mixed with the sample's columns of other views than v."""
        others = [m * b + i for m in range(n_target) if m != v]
        if not positive_weight or not others:
            return targets[a, i]
        mixed = (1 - positive_weight) * targets[a, i]
        mixed[others] += positive_weight / len(others)
        return mixed

    per_target, mixed = [], []
    for a in range(n_global):
        others = [v for v in range(n_views) if v != a] or [a]
        rows = [(target_of(v, i, a), log_q[v * b + i]) for v in others for i in range(b)]
        per_target.append(np.mean([-sum(p * q for p, q in zip(*row, strict=True) if p > 0) for row in rows]))
        mixed.append([p for p, _ in rows])
    loss = np.mean(per_target)
    targets = np.array(mixed)

    def h(p):
        return float(np.mean([-sum(x * math.log(x) for x in row if x > 0) for row in p.reshape(-1, m)]))

    return loss, loss - h(targets), h(targets), h(q), column_error
