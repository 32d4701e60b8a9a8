"""Makes tests/golden/ndcg.json: ranking measures of made-up lists by independent libraries.

Run in an environment of its own: `pip install ir-measures pytrec-eval-terrier scikit-learn`, then
`python bench/ndcg_reference.py`. ir-measures (trec_eval's code) gives nDCG, recall and reciprocal rank;
scikit-learn's ndcg_score gives nDCG a second time, and both must agree before anything is written.
"""

from __future__ import annotations

import json
import random
from importlib.metadata import version
from pathlib import Path

import ir_measures
import numpy as np
from ir_measures import RR, R, nDCG
from sklearn.metrics import ndcg_score

OUT = Path(__file__).parent.parent / "tests" / "golden" / "ndcg.json"
K = 6


def main() -> None:
    draw = random.Random(20_261_120)
    cases = []
    for _ in range(60):
        documents = [f"d{i}" for i in range(draw.randint(8, 20))]
        ranked = draw.sample(documents, draw.randint(1, len(documents)))
        relevant = {d: draw.choice([1, 1, 2, 3]) for d in draw.sample(documents, draw.randint(1, 7))}
        run = {"q": {d: 100.0 - i for i, d in enumerate(ranked)}}
        found = ir_measures.calc_aggregate([nDCG @ K, R @ K, RR], {"q": relevant}, run)
        gains = np.array([[relevant.get(d, 0) for d in documents]])
        scores = np.array([[run["q"].get(d, 0.0) for d in documents]])
        if len(ranked) >= K:  # below that scikit-learn spreads ties over what was not ranked
            assert abs(ndcg_score(gains, scores, k=K) - found[nDCG @ K]) < 1e-9
        measures = {"ndcg": found[nDCG @ K], "recall": found[R @ K], "mrr": found[RR]}
        cases.append({"ranked": ranked, "relevant": relevant, **{name: round(m, 10) for name, m in measures.items()}})
    made = {name: version(name) for name in ("ir-measures", "pytrec-eval-terrier", "scikit-learn")}
    lines = ",\n".join(json.dumps(case) for case in cases)
    OUT.write_text(
        f'{{"made_by": "bench/ndcg_reference.py", "versions": {json.dumps(made)}, "k": {K}, "cases": [\n{lines}\n]}}\n'
    )


if __name__ == "__main__":
    main()
