"""BAM once more, sample by sample in numpy from the prose of the method: slow, and nothing shared with bam_core."""

import math

import numpy as np


def reference_bam(
    student, teacher=None, *, n_views, n_global=None, n_target=None, temperature=0.1, epsilon=0.05, iterations=3,
    top_k=None, mask_positives=True,
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
        allowed = [c for c in range(m) if not positive[r][c]]
        top = max(logits[c] for c in allowed)
        log_sum = top + math.log(sum(math.exp(logits[c] - top) for c in allowed))
        log_q[r] = logits - log_sum
    q = np.where(positive, 0.0, np.exp(log_q))

    per_target = []
    for a in range(n_global):
        others = [v for v in range(n_views) if v != a] or [a]
        per_student = [np.mean([-(targets[a, i] * log_q[v * b + i]).sum() for i in range(b)]) for v in others]
        per_target.append(np.mean(per_student))
    loss = np.mean(per_target)

    def h(p):
        return float(np.mean([-sum(x * math.log(x) for x in row if x > 0) for row in p.reshape(-1, m)]))

    return loss, loss - h(targets), h(targets), h(q), column_error
